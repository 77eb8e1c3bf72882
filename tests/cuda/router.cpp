#include "ashlar/ops/router/cuda.cuh"

#include <algorithm>
#include <numeric>

#include "device_tensor.hpp"

using namespace ashlar;
using ops::RouterOptions;
using ops::ScoreFunction;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

/// Rows that are permutations of `values` numbers in [-4, 4]: fewer values than columns make ties, more make none.
template <class A>
TestTensor<A> make_logits(index_t rows, index_t cols, index_t values) {
  TestTensor<A> logits({rows, cols});
  const RandomStream stream(5, 2);
  std::vector<index_t> order(static_cast<std::size_t>(cols));
  for (index_t r = 0; r < rows; ++r) {
    std::iota(order.begin(), order.end(), index_t{0});
    std::sort(order.begin(), order.end(), [&](index_t a, index_t b) {
      return stream.bits(static_cast<std::uint64_t>(r * cols + a)) <
             stream.bits(static_cast<std::uint64_t>(r * cols + b));
    });
    for (index_t c = 0; c < cols; ++c)
      logits.at(r, c) = A(-4) + A(8) * A(order[static_cast<std::size_t>(c)] % values) / A(values);
  }
  return logits;
}

template <class A>
struct Case {
  RouterOptions options;
  TestTensor<A> logits, bias;  // bias may be empty
  Layout layout = {};
  bool backward = false;

  Results operator()(auto device) const {
    using D = decltype(device);
    auto& queue = test::queue<D>();
    const index_t tokens = logits.rows(), n = logits.cols(), k = options.top_k;
    TestTensor<std::int32_t> some({n});
    some.fill(3);
    TestTensor<A> dweights({tokens, k});
    dweights.randomise(9);
    DeviceTensor<A, D> z(logits, layout), b(bias), p({tokens, n}, layout), w({tokens, k}, layout);
    DeviceTensor<A, D> dw(dweights, layout), dz({tokens, n}, layout);
    DeviceTensor<std::int32_t, D> experts({tokens, k}, layout), counts(some);
    const TensorView<A, D> dev_bias = bias.count() ? b.view() : TensorView<A, D>();
    ops::top_k_router<A, D>(queue, options, z, dev_bias, p, experts, w, counts);
    if (!backward) return {{p.values(), w.values()}, {experts.values(), counts.values()}};
    ops::top_k_router_backward<A, D>(queue, options, p, experts, dw, dz);
    return {{dz.values()}};
  }
};

}  // namespace

TEMPLATE_TEST_CASE("the router on Cuda agrees with Cpu", "[router]", float, double) {
  using A = TestType;
  int turn = 0;
  for (const index_t experts : {1, 2, 7, 8, 64, 160, 256, 300, 512})
    for (const index_t k : {1, 2, 6, 8})
      for (const index_t tokens : {0, 1, 33}) {
        if (k > experts || (experts > 200 && k == 2)) continue;
        RouterOptions options{turn % 2 ? ScoreFunction::sigmoid : ScoreFunction::softmax, k, turn % 3 != 0, 2.5};
        options.in_turn = turn % 7 == 3;
        const index_t values = turn % 5 == 0 ? 3 : experts;
        TestTensor<A> bias({turn % 4 < 2 ? experts : 0});
        for (index_t e = 0; e < bias.count(); ++e) bias.at(e) = A(0.25) * A(e % 7 - 3);
        const Layout layout = test::layouts[turn++ % 3];
        CAPTURE(experts, k, tokens, values, bias.count());
        Case<A> c{options, make_logits<A>(tokens, experts, values), bias, layout};
        test::agrees_with_cpu(c, 4 * test::tolerance<A>, 1e-4);
        c.backward = true;
        test::agrees_with_cpu(c, 4 * test::tolerance<A>, 0.1);
      }
}

TEST_CASE("the router on Cuda chooses of the groups that Cpu does", "[router]") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  int turn = 0;
  for (const index_t experts : {8, 64, 160, 256})
    for (const index_t groups : {2, 4, 8})
      for (const index_t limit : {1, 3})
        for (const index_t best : {1, 2, 3}) {
          if (limit >= groups) continue;
          CAPTURE(experts, groups, limit, best);
          auto logits = make_logits<float>(17, experts, ++turn % 2 ? experts : 5);
          if (turn % 3 == 0) logits.at(2, experts / 2) = nan;
          TestTensor<float> bias({turn % 4 == 0 ? experts : 0});
          for (index_t e = 0; e < bias.count(); ++e) bias.at(e) = 0.25f * static_cast<float>(e % 7 - 3);
          const index_t k = std::min<index_t>(6, experts / groups * limit);
          test::agrees_with_cpu(Case<float>{{ScoreFunction::sigmoid, k, true, 2.5, groups, limit, best}, logits, bias},
                                4 * test::tolerance<float>, 1e-4);
        }
  CHECK_THROWS_AS(
      (Case<float>{
          {ScoreFunction::sigmoid, 1, false, 1, 40, 2}, make_logits<float>(1, 80, 80), TestTensor<float>({0})}(Cuda{})),
      Error);
}

TEST_CASE("the router on Cuda may choose all experts, more than a warp has lanes", "[router]") {
  for (const index_t experts : {1, 33, 70})
    test::agrees_with_cpu(Case<float>{{ScoreFunction::softmax, experts, true, 1},
                                      make_logits<float>(5, experts, experts),
                                      TestTensor<float>({0})},
                          4 * test::tolerance<float>, 1e-3);
}

TEST_CASE("the router on Cuda orders NaN and infinities as Cpu does", "[router]") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  auto logits = make_logits<float>(6, 40, 40);
  logits.at(0, 3) = nan;
  logits.at(1, 35) = inf;
  logits.at(2, 0) = -inf;
  for (index_t c = 0; c < 40; ++c) logits.at(3, c) = -inf;
  for (index_t c = 0; c < 40; ++c) logits.at(4, c) = c == 7 ? 1 : nan;
  logits.at(5, 0) = nan;
  for (const auto score : {ScoreFunction::sigmoid, ScoreFunction::softmax})
    test::agrees_with_cpu(Case<float>{{score, 4, true, 1}, logits, TestTensor<float>({0})}, 4 * test::tolerance<float>,
                          1e-3);
}

TEST_CASE("the router on Cuda refuses more experts than its registers hold", "[router]") {
  const Case<float> c{{ScoreFunction::sigmoid, 1, false, 1}, make_logits<float>(1, 513, 513), TestTensor<float>({0})};
  CHECK_THROWS_AS(c(Cuda{}), Error);
}
