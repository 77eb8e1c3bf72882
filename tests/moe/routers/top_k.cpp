#include "ashlar/moe/routers/top_k.hpp"

#include "moe/router_laws.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;

template <class Score>
void check_laws() {
  for (const index_t top_k : {1, 2})
    for (const bool norm : {false, true})
      test::router_laws<E, TopKRouter<E, Score>>(
          {.num_experts = 5, .top_k = top_k, .route_norm = norm, .route_scale = 2.5});
  test::router_laws<E, TopKRouter<E, Score>>({.num_experts = 3, .top_k = 3, .load_balance_coeff = 0});
  for (const index_t best : {1, 2})
    test::router_laws<E, TopKRouter<E, Score>>(
        {.num_experts = 12, .top_k = 4, .route_scale = 2.5, .num_groups = 4, .group_limit = 2, .group_best = best});
  // In turn: on any number of ranks 24 tokens are spread evenly over 6 experts.
  for (const index_t top_k : {1, 2, 6}) {
    using Router = TopKRouter<E, Score, InTurn>;
    const MoeSizes sizes{.num_experts = 6, .top_k = top_k};
    test::counts_move_the_bias<E, Router>(6, sizes);
    test::ranks_agree_on_the_bias<E, Router>(6, sizes);
    test::gradients_go_through_the_weights<E, Router>(6, sizes, false);
  }
}

// A router of 4 experts whose gate is 4 times the identity: a one-hot token goes to its own expert.
template <class Router>
struct OneHotOf : test::RouterBench<E, Router> {
  explicit OneHotOf(const MoeSizes& sizes) : test::RouterBench<E, Router>(4, sizes) {
    for (int i = 0; i < 16; ++i) this->unit.master().data()[i] = i % 5 == 0 ? 4 : 0;
  }
  RoutedTokens<E> route_counts(const std::vector<int>& counts) {
    std::vector<double>& rows = tokens;
    for (std::size_t e = 0; e < counts.size(); ++e)
      for (int i = 0; i < counts[e]; ++i)
        for (std::size_t c = 0; c < 4; ++c) rows.push_back(c == e ? 1 : 0);
    return this->route({rows.data(), {static_cast<index_t>(rows.size()) / 4, 4}}, true);
  }
  std::vector<double> tokens;
};
using OneHot = OneHotOf<TopKRouter<E, Sigmoid>>;

}  // namespace

TEST_CASE("top-k by softmax keeps the laws of routers") {
  check_laws<Softmax>();
}

TEST_CASE("top-k by sigmoid keeps the laws of routers") {
  check_laws<Sigmoid>();
}

TEST_CASE("the bias moves by the sign of the imbalance, less the mean") {
  OneHot s({.num_experts = 4, .top_k = 1, .load_balance_coeff = 1e-3});
  const auto routed = s.route_counts({10, 0, 3, 3});
  REQUIRE(test::count_slots(routed, 4) == std::vector<double>{10, 0, 3, 3});
  test::end_step(s.router, s.queue);
  CHECK(test::close(s.bias(), {-0.0015, 0.0005, 0.0005, 0.0005}));
}

TEST_CASE("the bias steers the selection, and not the weights") {
  OneHot s({.num_experts = 4, .top_k = 1});
  s.buffers.at(0).values.data()[2] = 1;  // more than any score of a sigmoid
  const auto routed = s.route_counts({3});
  CHECK(test::count_slots(routed, 4) == std::vector<double>{0, 0, 3, 0});
  CHECK(routed.weights.data()[0] == Approx(.5));  // the sigmoid of 0
}

TEST_CASE("experts in turn have an even load, and weights by their scores") {
  OneHotOf<TopKRouter<E, Sigmoid, InTurn>> s({.num_experts = 4, .top_k = 2});
  const auto routed = s.route_counts({10, 0, 0, 0});
  CHECK(test::count_slots(routed, 4) == std::vector<double>{5, 5, 5, 5});
  const double p = 1 / (1 + std::exp(-4.0));
  for (index_t t = 0; t < 10; ++t)
    for (index_t j = 0; j < 2; ++j) {
      CHECK(routed.experts.row(t)[j] == (2 * t + j) % 4);
      CHECK(routed.weights.row(t)[j] == Approx(routed.experts.row(t)[j] == 0 ? p : .5));
    }
}

TEST_CASE("what a router counted in the last step") {
  OneHot s({.num_experts = 4, .top_k = 1, .load_balance_coeff = 0});
  const auto last = [&] {
    const auto counts = s.router.last_counts();
    return std::vector<int>(counts.data(), counts.data() + counts.count());
  };
  CHECK(last() == std::vector<int>{0, 0, 0, 0});
  s.route_counts({3, 0, 2, 1});
  test::end_step(s.router, s.queue);
  CHECK(last() == std::vector<int>{3, 0, 2, 1});
  test::end_step(s.router, s.queue);
  CHECK(last() == std::vector<int>{0, 0, 0, 0});
}

TEST_CASE("without a coefficient there is no bias") {
  OneHot s({.num_experts = 4, .top_k = 1, .load_balance_coeff = 0});
  CHECK(s.buffers.empty());
  s.route_counts({1, 1});
  test::end_step(s.router, s.queue);
}
