// The auxiliary loss of routers, against its formula: DeepSeek-V3 (arXiv:2412.19437), equations 17 to 20.
#include "moe/router_laws.hpp"

#include "ashlar/moe/routers/top_k.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;
constexpr index_t sequences = 3, len = 4, rows = sequences * len, dim = 5, experts = 6, top_k = 2;
constexpr double coefficient = 0.3, loss_scale = 0.7;

/// Of tokens x under a gate [experts, dim]; the choices are given, and are constants.
double formula(const double* x, const double* gate, const std::int32_t* chosen, bool softmax, index_t group_rows) {
  double loss = 0;
  for (index_t begin = 0; begin < rows; begin += group_rows) {
    std::vector<double> f(experts), mean(experts);
    for (index_t t = begin; t < begin + group_rows; ++t) {
      for (index_t j = 0; j < top_k; ++j)
        f[static_cast<std::size_t>(chosen[t * top_k + j])] += double(experts) / double(top_k * group_rows);
      std::vector<double> s(experts);
      double sum = 0;
      for (std::size_t e = 0; e < s.size(); ++e) {
        for (std::size_t i = 0; i < std::size_t{dim}; ++i)
          s[e] += gate[e * dim + i] * x[static_cast<std::size_t>(t * dim) + i];
        s[e] = softmax ? std::exp(s[e]) : 1 / (1 + std::exp(-s[e]));
        sum += s[e];
      }
      for (std::size_t e = 0; e < s.size(); ++e) mean[e] += s[e] / sum / double(group_rows);
    }
    for (std::size_t e = 0; e < f.size(); ++e) loss += coefficient * loss_scale * double(group_rows) * f[e] * mean[e];
  }
  return loss;
}

template <class Score>
void check(bool of_sequences) {
  INFO("of sequences " << of_sequences);
  test::RouterBench<E, TopKRouter<E, Score>> bench(
      dim,
      {.num_experts = experts, .top_k = top_k, .balance_loss_coeff = coefficient, .balance_sequences = of_sequences});
  bench.add_input({rows, dim});
  const auto x = bench.inputs[0].view();
  Arena<Cpu> kept(bench.memory);
  Context<E> c(bench.queue, bench.arena);
  c.kept_arena = &kept;
  c.loss_scale = loss_scale;
  c.streams[0].count = sequences;
  c.streams[0].len = len;
  const auto routed = bench.router.route(c, x, bench.saved);
  const std::vector<std::int32_t> chosen(routed.experts.data(), routed.experts.data() + routed.experts.count());
  std::vector<double> dx(rows * dim), no_weights(rows * top_k);
  bench.router.backward(c, {no_weights.data(), {rows, top_k}}, bench.saved, {dx.data(), {rows, dim}});
  std::vector<double> at(x.data(), x.data() + x.count());
  const double* const gate = bench.unit.master().data();
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double before = at[i], h = 1e-5;
    const auto loss = [&](double value) {
      at[i] = value;
      return formula(at.data(), gate, chosen.data(), std::is_same_v<Score, Softmax>, of_sequences ? len : rows);
    };
    const double difference = (loss(before + h) - loss(before - h)) / (2 * h);
    at[i] = before;
    CHECK(dx[i] == Approx(difference).epsilon(1e-6).margin(1e-9));
  }
}

}  // namespace

TEST_CASE("the balance loss of a softmax's and of sigmoids' probabilities has the gradient of its formula") {
  for (const bool of_sequences : {true, false}) {
    check<Softmax>(of_sequences);
    check<Sigmoid>(of_sequences);
  }
}
