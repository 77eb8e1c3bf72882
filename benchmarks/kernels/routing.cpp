// The router's scores and choice, 8 of 128 experts, and all that stands between its logits and the experts' rows.
#include "ashlar/ops/load_balance/load_balance.hpp"
#include "ashlar/ops/permutation/permutation.hpp"
#include "ashlar/ops/router/router.hpp"
#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

constexpr index_t tokens = 32768, num_experts = 128, top_k = 8, slots = tokens * top_k;

template <class D>
struct RouterTensors {
  explicit RouterTensors(Memory<D>& memory)
      : logits(memory, {tokens, num_experts}),
        probabilities(memory, {tokens, num_experts}),
        bias(memory, {num_experts}),
        weights(memory, {tokens, top_k}),
        dweights(memory, {tokens, top_k}),
        dlogits(memory, {tokens, num_experts}),
        experts(memory, {tokens, top_k}),
        counts(memory, {num_experts}) {}
  Tensor<float, D> logits, probabilities, bias, weights, dweights, dlogits;
  Tensor<std::int32_t, D> experts, counts;
};
void fill_router(RandomValues& random, RouterTensors<Cuda>& o) {
  random.normal(o.logits);
  random.normal(o.bias, 1e-4f);
  random.normal(o.dweights);
  random.fill(o.counts, [](float) { return 0; });
}
template <class D>
void route(typename D::Queue& queue, RouterTensors<D>& o) {
  ops::top_k_router<float>(queue, {ops::ScoreFunction::softmax, top_k, true, 1.0}, o.logits.view(), o.bias.view(),
                           o.probabilities.view(), o.experts.view(), o.weights.view(), o.counts.view());
}

struct Routing {
  std::string name;
  bool backward;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 1e-4;

  template <class D>
  struct Operands : RouterTensors<D> {
    Operands(Memory<D>& memory, const Routing&) : RouterTensors<D>(memory) {}
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const { fill_router(random, o); }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    if (backward)
      ops::top_k_router_backward<float>(queue, options(), o.probabilities.view(), o.experts.view(), o.dweights.view(),
                                        o.dlogits.view());
    else
      route<D>(queue, o);
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 64;
    route<Cuda>(queue, o);
    if (backward) run<Cuda>(queue, o);
    auto logits = sample_rows(queue, o.logits.view(), n), dweights = sample_rows(queue, o.dweights.view(), n),
         bias = read_all(queue, o.bias.view().reshaped({1, num_experts}));
    HostMatrix<> probabilities(n, num_experts), weights(n, top_k), dlogits(n, num_experts);
    HostMatrix<std::int32_t> experts(n, top_k), counts(1, num_experts);
    Cpu::Queue host;
    ops::top_k_router<double>(host, options(), logits.view(), bias.flat(), probabilities.view(), experts.view(),
                              weights.view(), counts.flat());
    ops::top_k_router_backward<double>(host, options(), probabilities.view(), experts.view(), dweights.view(),
                                       dlogits.view());
    if (backward) return deviation(sample_rows(queue, o.dlogits.view(), n).values, dlogits.values);
    std::int64_t chosen = 0;
    for (const std::int32_t count : read_all<std::int32_t>(queue, o.counts.view().reshaped({1, num_experts})).values)
      chosen += count;
    return std::max({deviation(sample_rows(queue, o.weights.view(), n).values, weights.values),
                     exactly(sample_rows<std::int32_t>(queue, o.experts.view(), n).values, experts.values),
                     exactly(std::vector<std::int64_t>{chosen}, {slots})});
  }
  static ops::RouterOptions options() { return {ops::ScoreFunction::softmax, top_k, true, 1.0}; }
};

/// From logits to rows that are sorted by expert.
struct RouteAndPermute {
  std::string name = "route, sort and permute, 32768 tokens to 8 of 128, width 2048";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0;
  index_t cols = 2048;

  template <class D>
  struct Operands : RouterTensors<D> {
    Operands(Memory<D>& memory, const RouteAndPermute& c)
        : RouterTensors<D>(memory),
          position(memory, {slots}),
          source(memory, {slots}),
          offsets(memory, {num_experts + 1}),
          workspace(memory, {ops::sort_by_expert_workspace<D>(slots, num_experts)}),
          x(memory, {tokens, c.cols}),
          rows(memory, {slots, c.cols}) {}
    Tensor<std::int32_t, D> position, source, offsets, workspace;
    Tensor<bf16, D> x, rows;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    fill_router(random, o);
    random.normal(o.x);
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    route<D>(queue, o);
    ops::sort_by_expert<D>(queue, o.experts.view(), o.position.view(), o.source.view(), o.offsets.view(),
                           o.workspace.view());
    ops::permute<bf16>(queue, o.x.view(), o.source.view(), top_k, o.rows.view(), o.position.view());
  }
  /// Each sampled slot's row stands within its expert's.
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    const auto experts = read_all<std::int32_t>(queue, o.experts.view()),
               position = read_all<std::int32_t>(queue, o.position.view().reshaped({tokens, top_k})),
               offsets = read_all<std::int32_t>(queue, o.offsets.view().reshaped({1, num_experts + 1}));
    double worst = 0;
    for (index_t s = 0; s < 64; ++s) {
      const index_t token = spread(s, 64, tokens), choice = s % top_k;
      const std::int32_t at = position.at(token, choice), expert = experts.at(token, choice);
      if (!(offsets.at(0, expert) <= at && at < offsets.at(0, expert + 1)))
        return std::numeric_limits<double>::infinity();
      worst = std::max(
          worst, exactly(read_rows(queue, o.rows.view(), at, 1).values, read_rows(queue, o.x.view(), token, 1).values));
    }
    return worst;
  }
};

/// The balancing bias of one layer, once a step: a launch over 128 numbers.
struct LoadBalance {
  std::string name = "load_balance, 128 experts";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 1e-6;
  double coefficient = 1e-3;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const LoadBalance&) : counts(memory, {num_experts}), bias(memory, {num_experts}) {}
    Tensor<std::int32_t, D> counts;
    Tensor<float, D> bias;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.fill(o.counts, [](float z) { return static_cast<std::int32_t>(2048 + 256 * z); });
    random.normal(o.bias, 1e-3f);
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::update_expert_bias<float>(queue, o.counts.view(), coefficient, o.bias.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    auto counts = read_all<std::int32_t>(queue, o.counts.view().reshaped({1, num_experts}));
    auto bias = read_all(queue, o.bias.view().reshaped({1, num_experts}));
    run<Cuda>(queue, o);
    Cpu::Queue host;
    ops::update_expert_bias<double>(host, counts.flat(), coefficient, bias.flat());
    return deviation(read_all(queue, o.bias.view().reshaped({1, num_experts})).values, bias.values);
  }
};

}  // namespace

void measure_routing(Board& board) {
  board.row(Routing{"router forward, 32768 tokens to 8 of 128", false});
  board.row(Routing{"router backward, 32768 tokens to 8 of 128", true});
  board.row(RouteAndPermute{});
  board.row(LoadBalance{});
}

}  // namespace ashlar::benchmark
