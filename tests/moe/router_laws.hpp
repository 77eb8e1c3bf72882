// What every router must do. router_laws<E, Module>(...) checks them; a new router's test is one call. Read next:
// ashlar/moe/router.hpp.
#pragma once

#include <cmath>
#include <memory>
#include <set>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/moe/router.hpp"
#include "nn/finite_difference.hpp"

namespace ashlar::test {

/// A router on its own, with weights of its own.
template <class E, class Router>
struct RouterBench : Subject<E> {
  RouterBench(index_t dim, const MoeSizes& sizes)
      : router(this->declarations, dim, sizes),
        buffers(this->declarations.take_buffers()),
        unit(this->declarations.take(), {}, {}),
        arena(this->memory) {
    unit.allocate(this->memory, this->queue, nullptr, nullptr);
    this->fill(unit.master().data(), unit.size(), 1, 1);
  }
  RoutedTokens<E> route(TensorView<const double, Cpu> x, bool count) {
    Context<E> c(this->queue, arena);
    c.count_routing = count;
    return router.route(c, x, saved);
  }
  /// The balancing bias, where the router has one.
  std::vector<double> bias() const {
    for (const auto& b : buffers)
      if (b.name == "expert_bias") return {b.values.data(), b.values.data() + b.values.count()};
    return {};
  }

  Router router;
  std::vector<typename Declarations<E>::Buffer> buffers;
  Unit<E> unit;
  Arena<Cpu> arena;
  typename Router::Saved saved;
};

/// What a stage does at the end of a step.
template <class Router>
void end_step(Router& router, Cpu::Queue& queue, Communicator world = {}) {
  if (const auto counts = router.take_counts(queue)) world.all_reduce(queue, counts).wait(queue);
  router.finish_step(queue);
}

/// How the bias moves for these counts: coefficient sign(mean - count), less its mean.
inline std::vector<double> bias_step(const std::vector<double>& counts, double coefficient) {
  double mean = 0, mean_step = 0;
  for (double n : counts) mean += n;
  mean /= static_cast<double>(counts.size());  // exact where it is a whole number: a count may equal it
  std::vector<double> step;
  for (double n : counts) step.push_back(coefficient * (n < mean ? 1 : n > mean ? -1 : 0));
  for (double d : step) mean_step += d / static_cast<double>(step.size());
  for (double& d : step) d -= mean_step;
  return step;
}

/// How many slots each expert was given.
template <class E>
std::vector<double> count_slots(const RoutedTokens<E>& routed, index_t experts) {
  std::vector<double> counts(static_cast<std::size_t>(experts));
  for (index_t i = 0; i < routed.experts.count(); ++i) ++counts[static_cast<std::size_t>(routed.experts.data()[i])];
  return counts;
}

inline bool close(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) < 1e-15)) return false;
  return true;
}

template <class E, class Router>
void routes_are_sound(index_t dim, const MoeSizes& sizes) {
  constexpr index_t n = 40;
  RouterBench<E, Router> bench(dim, sizes);
  bench.add_input({n, dim});
  double* x = bench.inputs[0].data();
  std::copy_n(x, dim, x + 17 * dim);  // tokens 0 and 17 are alike
  const auto routed = bench.route(bench.inputs[0].view(), false);
  REQUIRE(routed.experts.shape() == Shape{n, sizes.top_k});
  REQUIRE(routed.weights.shape() == Shape{n, sizes.top_k});
  for (index_t t = 0; t < n; ++t) {
    const std::int32_t* const e = routed.experts.row(t);
    const double* const w = routed.weights.row(t);
    double sum = 0;
    for (index_t j = 0; j < sizes.top_k; ++j) {
      REQUIRE(e[j] >= 0);
      REQUIRE(e[j] < sizes.num_experts);
      REQUIRE(std::isfinite(w[j]));
      sum += w[j];
    }
    REQUIRE(std::set<std::int32_t>(e, e + sizes.top_k).size() == static_cast<std::size_t>(sizes.top_k));
    std::set<index_t> groups;
    for (index_t j = 0; j < sizes.top_k; ++j) groups.insert(e[j] / (sizes.num_experts / sizes.num_groups));
    REQUIRE(static_cast<index_t>(groups.size()) <= sizes.group_limit);
    if (sizes.route_norm) REQUIRE(sum == Approx(sizes.route_scale).epsilon(1e-12));
  }
  for (index_t j = 0; j < sizes.top_k; ++j) {
    CHECK(routed.experts.row(0)[j] == routed.experts.row(17)[j]);
    CHECK(routed.weights.row(0)[j] == routed.weights.row(17)[j]);
  }
}

/// Only a router with a balancing bias shows what it has counted.
template <class E, class Router>
void counts_move_the_bias(index_t dim, const MoeSizes& sizes) {
  RouterBench<E, Router> bench(dim, sizes);
  if (bench.bias().empty()) return;
  bench.add_input({40, dim});
  bench.add_input({23, dim});
  bench.route(bench.inputs[0].view(), false);
  end_step(bench.router, bench.queue);
  CHECK(bench.bias() == std::vector<double>(static_cast<std::size_t>(sizes.num_experts)));  // nothing was counted
  const auto first = count_slots(bench.route(bench.inputs[0].view(), true), sizes.num_experts);
  auto counts = count_slots(bench.route(bench.inputs[1].view(), true), sizes.num_experts);
  for (std::size_t e = 0; e < counts.size(); ++e) counts[e] += first[e];
  end_step(bench.router, bench.queue);
  const auto moved = bench.bias();
  CHECK(close(moved, bias_step(counts, sizes.load_balance_coeff)));
  end_step(bench.router, bench.queue);
  CHECK(bench.bias() == moved);  // the counts are zero again
}

/// Ranks that route parts of the tokens end with the bias of one rank that routes all.
template <class E, class Router>
void ranks_agree_on_the_bias(index_t dim, const MoeSizes& sizes) {
  constexpr index_t n = 24;
  const auto bias_of = [&](int ranks) {
    std::vector<std::vector<double>> biases(static_cast<std::size_t>(ranks));
    LocalWorld::run(ranks, [&](Communicator world) {
      RouterBench<E, Router> bench(dim, sizes);
      bench.add_input({n, dim});
      bench.route(TensorView<const double, Cpu>(bench.inputs[0].view()).rows(n / ranks * world.rank(), n / ranks),
                  true);
      end_step(bench.router, bench.queue, world);
      biases[static_cast<std::size_t>(world.rank())] = bench.bias();
    });
    for (const auto& b : biases) CHECK(b == biases[0]);
    return biases[0];
  };
  const auto alone = bias_of(1);
  CHECK(bias_of(2) == alone);
  CHECK(bias_of(4) == alone);
}

template <class E, class Router>
void gradients_go_through_the_weights(index_t dim, const MoeSizes& sizes, bool constant) {
  constexpr index_t n = 6;
  Subject<E> s;
  Router router(s.declarations, dim, sizes);
  typename Router::Saved saved;
  s.constant = constant;
  s.add_input({n, dim});
  s.forward = [&](Context<E>& c, const auto& in) {
    const auto routed = router.route(c, in[0], saved);
    return std::vector{TensorView<double, Cpu>(const_cast<double*>(routed.weights.data()), routed.weights.shape())};
  };
  s.backward = [&](Context<E>& c, const auto& dys) {
    auto dx = c.template scratch<double>({n, dim});
    std::fill_n(dx.data(), dx.count(), 0);
    router.backward(c, dys[0].reshaped({n, sizes.top_k}), saved, dx);
    return std::vector{dx};
  };
  GradientLaw<E>(s).check();
}

/// `constant`: whether the weights do not depend on the token's values.
template <class E, class Router>
void router_laws(const MoeSizes& sizes, bool constant = false) {
  static_assert(RouterModule<Router, E>);
  constexpr index_t dim = 6;
  INFO("experts " << sizes.num_experts << ", top_k " << sizes.top_k << ", route_norm " << sizes.route_norm);
  routes_are_sound<E, Router>(dim, sizes);
  counts_move_the_bias<E, Router>(dim, sizes);
  ranks_agree_on_the_bias<E, Router>(dim, sizes);
  gradients_go_through_the_weights<E, Router>(dim, sizes, constant || (sizes.route_norm && sizes.top_k == 1));
}

}  // namespace ashlar::test
