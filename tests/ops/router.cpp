#include "ashlar/ops/router/router.hpp"

#include <algorithm>
#include <numeric>

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using ops::RouterOptions;
using ops::ScoreFunction;
using test::TestTensor;

namespace {

Cpu::Queue queue;
constexpr auto not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr auto inf = std::numeric_limits<float>::infinity();

template <class A>
struct Routed {
  TestTensor<A> probabilities, weights;
  TestTensor<std::int32_t> experts, counts;

  Routed(const RouterOptions& options, TestTensor<A>& logits, TestTensor<A>* bias = nullptr)
      : probabilities({logits.rows(), logits.cols()}, 1),
        weights({logits.rows(), options.top_k}),
        experts({logits.rows(), options.top_k}),
        counts({logits.cols()}) {
    counts.fill(10);
    run(options, logits, bias);
  }
  void run(const RouterOptions& options, TestTensor<A>& logits, TestTensor<A>* bias = nullptr) {
    ops::top_k_router<A, Cpu>(queue, options, logits, bias ? bias->view() : TensorView<A, Cpu>(), probabilities.view(),
                              experts, weights.view(), counts);
  }
};

/// Scores in double, then a stable sort by decreasing score plus bias.
template <class A>
void check_routing(const RouterOptions& o, TestTensor<A>& logits, TestTensor<A>* bias) {
  Routed<A> got(o, logits, bias);
  const index_t n = logits.cols();
  std::vector<int> counts(static_cast<std::size_t>(n), 10);
  std::vector<double> probabilities, experts, weights;
  for (index_t r = 0; r < logits.rows(); ++r) {
    std::vector<double> p;
    double sum = 0;
    for (index_t e = 0; e < n; ++e) {
      const double z = double(logits.at(r, e));
      p.push_back(o.score == ScoreFunction::sigmoid ? 1 / (1 + std::exp(-z)) : std::exp(z));
      sum += p.back();
    }
    if (o.score == ScoreFunction::softmax)
      for (double& v : p) v /= sum;
    probabilities.insert(probabilities.end(), p.begin(), p.end());
    std::vector<index_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    const auto selected = [&](index_t e) { return got.probabilities.at(r, e) + (bias ? bias->at(e) : A(0)); };
    const auto by_value = [&](index_t a, index_t b) { return selected(a) > selected(b); };
    std::stable_sort(order.begin(), order.end(), by_value);
    if (o.group_limit < o.groups) {
      const index_t size = n / o.groups;
      std::vector<A> worth(static_cast<std::size_t>(o.groups));
      std::vector<index_t> found(worth.size()), groups(worth.size());
      for (index_t e : order)
        if (const auto g = static_cast<std::size_t>(e / size); found[g]++ < o.group_best) worth[g] += selected(e);
      std::iota(groups.begin(), groups.end(), 0);
      const auto of = [&](index_t g) { return worth[static_cast<std::size_t>(g)]; };
      std::stable_sort(groups.begin(), groups.end(), [&](index_t a, index_t b) { return of(a) > of(b); });
      groups.resize(static_cast<std::size_t>(o.group_limit));
      std::erase_if(order,
                    [&](index_t e) { return std::find(groups.begin(), groups.end(), e / size) == groups.end(); });
    }
    double chosen = 0;
    for (index_t j = 0; j < o.top_k; ++j) chosen += p[static_cast<std::size_t>(order[static_cast<std::size_t>(j)])];
    for (index_t j = 0; j < o.top_k; ++j) {
      const auto e = static_cast<std::size_t>(order[static_cast<std::size_t>(j)]);
      experts.push_back(double(e));
      weights.push_back(o.scale * p[e] / (o.normalize ? chosen : 1));
      ++counts[e];
    }
  }
  CHECK(test::max_error(got.probabilities.values(), probabilities, 1e-30) < 2e-6);
  CHECK(got.experts.values() == experts);
  CHECK(test::max_error(got.weights.values(), weights, 1e-30) < 4e-6);
  for (index_t e = 0; e < n; ++e) REQUIRE(got.counts.at(e) == counts[static_cast<std::size_t>(e)]);
  CHECK((got.probabilities.guards_intact() && got.weights.guards_intact()));
  CHECK((got.experts.guards_intact() && got.counts.guards_intact()));
}

}  // namespace

TEMPLATE_TEST_CASE("top_k_router equals a stable sort of the scores", "[router]", double, float) {
  using A = TestType;
  for (ScoreFunction score : {ScoreFunction::softmax, ScoreFunction::sigmoid})
    for (index_t rows : {0, 1, 33, 400})
      for (index_t n : {1, 2, 7, 64, 160})
        for (index_t k : {index_t{1}, index_t{2}, index_t{6}, n}) {
          if (k > n) continue;
          TestTensor<A> logits({rows, n}), bias({n});
          logits.randomise(1, 2);
          bias.randomise(2, 0.3);
          check_routing<A>({score, k, false, 1}, logits, nullptr);
          check_routing<A>({score, k, true, 2.5}, logits, &bias);
        }
}

TEMPLATE_TEST_CASE("experts are chosen of the groups that are worth most", "[router]", double, float) {
  using A = TestType;
  for (ScoreFunction score : {ScoreFunction::softmax, ScoreFunction::sigmoid})
    for (const index_t groups : {2, 3, 4})
      for (index_t limit = 1; limit <= groups; ++limit)
        for (const index_t best : {1, 2, 20}) {
          TestTensor<A> logits({50, 12}), bias({12});
          logits.randomise(1, 2);
          bias.randomise(2, 0.3);
          const index_t k = std::min<index_t>(4, 12 / groups * limit);
          check_routing<A>({score, k, true, 2.5, groups, limit, best}, logits, &bias);
        }
}

TEST_CASE("of groups worth the same the lower one, and one with a NaN last", "[router]") {
  const RouterOptions options{ScoreFunction::sigmoid, 2, false, 1, 3, 1, 2};
  TestTensor<float> logits({3, 6}, {0.f, 0.f, 1.f, 2.f, 2.f, 1.f,                 // 1 and 2 alike
                                    5.f, -5.f, 1.f, 1.f, 0.f, 0.f,                // the largest is not of the best
                                    9.f, not_a_number, -1.f, -1.f, -2.f, -2.f});  // 0 has a NaN
  CHECK(Routed<float>(options, logits).experts.values() == std::vector<double>{3, 2, 2, 3, 2, 3});
}

TEST_CASE("groups that do not divide the experts, or have too few, are refused", "[router]") {
  TestTensor<float> logits({1, 6});
  logits.fill(0);
  CHECK_THROWS_AS(Routed<float>({ScoreFunction::sigmoid, 2, false, 1, 4, 2}, logits), Error);
  CHECK_THROWS_AS(Routed<float>({ScoreFunction::sigmoid, 3, false, 1, 3, 1}, logits), Error);
}

TEST_CASE("equal scores go to the lower expert, NaN comes last", "[router]") {
  const RouterOptions two{ScoreFunction::sigmoid, 2, false, 1}, all{ScoreFunction::sigmoid, 5, false, 1};
  {
    TestTensor<float> logits({1, 5}, {0.f, 1.f, 1.f, 0.f, 1.f});
    CHECK(Routed<float>(two, logits).experts.values() == std::vector<double>{1, 2});
    CHECK(Routed<float>(all, logits).experts.values() == std::vector<double>{1, 2, 4, 0, 3});
  }
  {
    TestTensor<float> logits({1, 5}, {not_a_number, -inf, not_a_number, 3.f, inf});
    CHECK(Routed<float>(all, logits).experts.values() == std::vector<double>{4, 3, 1, 0, 2});
  }
  {
    TestTensor<float> logits({1, 5}, {not_a_number, 0.f, 1.f, 2.f, 3.f}),
        bias({5}, {9.f, 0.f, 0.f, -inf, not_a_number});
    CHECK(Routed<float>(all, logits, &bias).experts.values() == std::vector<double>{2, 1, 3, 0, 4});
  }
  {
    TestTensor<float> logits({1, 5});
    logits.fill(not_a_number);
    Routed<float> r({ScoreFunction::softmax, 2, true, 1}, logits);
    CHECK(r.experts.values() == std::vector<double>{0, 1});
    CHECK(std::isnan(r.weights.at(0)));
  }
}

TEST_CASE("the bias selects and does not weigh; counts add up over calls", "[router]") {
  const RouterOptions options{ScoreFunction::sigmoid, 2, true, 3};
  TestTensor<float> logits({1, 4}, {2.f, 1.f, 0.f, -1.f}), bias({4}, {0.f, 0.f, 0.f, 10.f});
  Routed<float> r(options, logits, &bias);
  CHECK(r.experts.values() == std::vector<double>{3, 0});
  const double p3 = 1 / (1 + std::exp(1.0)), p0 = 1 / (1 + std::exp(-2.0));
  CHECK(r.weights.at(0) == Approx(3 * p3 / (p0 + p3)));
  CHECK(r.weights.at(0) + r.weights.at(1) == Approx(3));
  r.run(options, logits);
  CHECK(r.counts.values() == std::vector<double>{12, 11, 10, 11});
}

TEST_CASE("softmax scores of large logits don't overflow", "[router]") {
  TestTensor<float> logits({1, 3}, {1000.f, 999.f, -1000.f});
  Routed<float> r({ScoreFunction::softmax, 1, false, 1}, logits);
  CHECK(r.probabilities.at(0) == Approx(1 / (1 + std::exp(-1.0))));
  CHECK(r.probabilities.at(2) == 0);
}

TEMPLATE_TEST_CASE("top_k_router_backward is the derivative of the weights", "[router]", double, float) {
  using A = TestType;
  for (ScoreFunction score : {ScoreFunction::softmax, ScoreFunction::sigmoid})
    for (bool normalize : {false, true})
      for (index_t rows : {0, 1, 5})
        for (index_t n : {1, 2, 7, 65})
          for (index_t k : {index_t{1}, index_t{2}, n}) {
            if (k > n) continue;
            const RouterOptions options{score, k, normalize, 2.5};
            TestTensor<double> logits({rows, n}), dweights({rows, k});
            logits.randomise(1);
            dweights.randomise(2);
            const auto want = test::finite_differences(
                logits, [&] { return test::inner(Routed<double>(options, logits).weights, dweights); });
            TestTensor<A> logits_a({rows, n}), dweights_a({rows, k}), dlogits({rows, n});
            for (index_t i = 0; i < logits.count(); ++i) logits_a.at(i) = A(logits.at(i));
            for (index_t i = 0; i < dweights.count(); ++i) dweights_a.at(i) = A(dweights.at(i));
            Routed<A> r(options, logits_a);
            ops::top_k_router_backward<A, Cpu>(queue, options, r.probabilities, r.experts, dweights_a, dlogits.view());
            CHECK(test::max_error(dlogits.values(), want, 1) < (std::is_same_v<A, double> ? 1e-8 : 4e-6));
            CHECK(dlogits.guards_intact());
          }
}
