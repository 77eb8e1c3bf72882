#include "ashlar/nn/attention/latent.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;
using View = TensorView<double, Cpu>;
constexpr index_t count = 2, seq_len = 5, rows = count * seq_len, dim = 8;

LatentSizes sizes_of(index_t query_rank) {
  LatentSizes s;
  s.dim = dim;
  s.num_heads = 2;
  s.query_rank = query_rank;
  s.key_value_rank = 6;
  s.nope_dim = 3;
  s.rope_dim = 4;
  s.value_dim = 5;
  return s;
}

template <Mask M>
struct LatentSubject : test::Subject<E> {
  using Attention = LatentAttention<E, M>;

  explicit LatentSubject(const LatentSizes& s)
      : rope(memory, queue, seq_len, s.rope_dim, 100), attention(declarations, s, 0, rope, .02) {
    sequences = {count, seq_len, {}, {starts, {rows}}};
    add_input({rows, dim});
    forward = [this](Context<E>& c, const auto& in) { return std::vector{attention.forward(c, in[0], saved)}; };
    recompute = [this](Context<E>& c) { attention.recompute(c, saved); };
    backward = [this](Context<E>& c, const auto& dys) {
      return std::vector{attention.backward(c, dys[0].reshaped({rows, dim}), saved)};
    };
  }

  std::int32_t starts[rows] = {0, 0, 2, 2, 2, 0, 0, 0, 0, 4};
  RopeTable<E> rope;
  Attention attention;
  typename Attention::Saved saved;
};

}  // namespace

TEST_CASE("latent attention's gradients, with and without a low rank of queries") {
  for (const index_t query_rank : {0, 7}) {
    INFO("query_rank " << query_rank);
    LatentSubject<Causal> causal(sizes_of(query_rank));
    test::GradientLaw<E>(causal).check();
    LatentSubject<BlockCausal> documents(sizes_of(query_rank));
    test::GradientLaw<E>(documents).check();
  }
}

TEST_CASE("latent attention's parameters by name") {
  LatentSubject<Causal> s(sizes_of(7));
  std::vector<std::string> names;
  for (const auto& e : s.declarations.take()) names.push_back(e.info.name + " " + to_string(e.info.shape));
  CHECK(names == std::vector<std::string>{"wkv_a.weight [10, 8]", "wq_a.weight [7, 8]", "kv_norm.weight [6]",
                                          "wkv_b.weight [16, 6]", "wo.weight [8, 10]", "q_norm.weight [7]",
                                          "wq_b.weight [14, 7]"});
}

// Written out from the paper, with the weights by name: no operation of the library is on this side.
TEST_CASE("latent attention equals plain loops over its weights") {
  const LatentSizes s = sizes_of(0);
  LatentSubject<Causal> subject(s);
  test::GradientLaw<E> law(subject);
  const auto y = law.evaluate().front();
  const auto weight = [&](std::string_view name) {
    for (const auto& e : law.unit().layout().entries())
      if (e.info.name == name) return law.unit().master().data() + e.begin;
    throw std::runtime_error("no such weight");
  };
  const double *wq = weight("wq.weight"), *a = weight("wkv_a.weight"), *g = weight("kv_norm.weight"),
               *b = weight("wkv_b.weight"), *o = weight("wo.weight");
  const index_t H = s.num_heads, R = s.key_value_rank, P = s.rope_dim, n = s.nope_dim, v = s.value_dim, K = n + P;
  const auto product = [](const double* w, index_t out, index_t in, const double* x) {
    std::vector<double> result(static_cast<std::size_t>(out));
    for (index_t i = 0; i < out; ++i)
      for (index_t j = 0; j < in; ++j) result[static_cast<std::size_t>(i)] += w[i * in + j] * x[j];
    return result;
  };
  const auto turn = [&](double* x, index_t position) {
    for (index_t i = 0; i < P / 2; ++i) {
      const double angle =
          static_cast<double>(position) * std::pow(100.0, -2.0 * static_cast<double>(i) / static_cast<double>(P));
      const double re = x[2 * i], im = x[2 * i + 1];
      x[2 * i] = re * std::cos(angle) - im * std::sin(angle);
      x[2 * i + 1] = re * std::sin(angle) + im * std::cos(angle);
    }
  };
  for (index_t q = 0; q < count; ++q) {
    std::vector<std::vector<double>> queries, keys, values;
    for (index_t t = 0; t < seq_len; ++t) {
      const double* x = subject.inputs[0].data() + (q * seq_len + t) * dim;
      auto query = product(wq, H * K, dim, x), latent = product(a, R + P, dim, x);
      double squares = 0;
      for (index_t i = 0; i < R; ++i) squares += latent[i] * latent[i];
      turn(latent.data() + R, t);
      std::vector<double> normed(static_cast<std::size_t>(R));
      for (index_t i = 0; i < R; ++i)
        normed[i] = g[i] * latent[i] / std::sqrt(squares / static_cast<double>(R) + s.norm_eps);
      const auto both = product(b, H * (n + v), R, normed.data());
      std::vector<double> key, value;
      for (index_t h = 0; h < H; ++h) {
        turn(query.data() + h * K + n, t);
        key.insert(key.end(), both.begin() + h * (n + v), both.begin() + h * (n + v) + n);
        key.insert(key.end(), latent.begin() + R, latent.end());
        value.insert(value.end(), both.begin() + h * (n + v) + n, both.begin() + (h + 1) * (n + v));
      }
      queries.push_back(query);
      keys.push_back(key);
      values.push_back(value);
    }
    for (index_t t = 0; t < seq_len; ++t) {
      std::vector<double> heads(static_cast<std::size_t>(H * v));
      for (index_t h = 0; h < H; ++h) {
        std::vector<double> share;
        double total = 0;
        for (index_t u = 0; u <= t; ++u) {
          double score = 0;
          for (index_t i = 0; i < K; ++i) score += queries[t][h * K + i] * keys[u][h * K + i];
          share.push_back(std::exp(score / std::sqrt(static_cast<double>(K))));
          total += share.back();
        }
        for (index_t u = 0; u <= t; ++u)
          for (index_t i = 0; i < v; ++i) heads[h * v + i] += share[u] / total * values[u][h * v + i];
      }
      const auto want = product(o, dim, H * v, heads.data());
      for (index_t i = 0; i < dim; ++i)
        CHECK(y[static_cast<std::size_t>((q * seq_len + t) * dim + i)] == Approx(want[i]).epsilon(1e-12).margin(1e-13));
    }
  }
}
