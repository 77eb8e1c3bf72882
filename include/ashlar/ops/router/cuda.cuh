// Top-k routing on Cuda: a warp has a token, its lanes keep the scores in registers, and k rounds of a maximum over the
// warp choose the experts. Read next: device/cuda/reduce.cuh, ops/router/tuning.hpp.
#pragma once

#include <cstdint>
#include <limits>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/router/router.hpp"
#include "ashlar/ops/router/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class A>
struct RouterParams {
  Rows<const A> logits;
  const A* bias;  // may be null
  Rows<A> probabilities;
  Rows<std::int32_t> experts;
  Rows<A> weights;
  std::int32_t* counts;
  index_t tokens;
  int n, top_k;
  ScoreFunction score;
  bool normalize, in_turn;
  A scale;
  int groups, group_limit, group_best;
};

/// Lane l of a warp has experts l, l + 32, ...: PerLane of them, as far as they exist.
template <class A, int PerLane>
struct Router {
  using Params = RouterParams<A>;
  struct Shared {
    SharedArray<int, PerLane * warp_size> chosen;  // how often the block chose each expert
  };
  static constexpr int threads = router_tuning.threads, warps = threads / warp_size;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    auto& chosen = ctx.shared().chosen;
    for (int e = ctx.thread(); e < p.n; e += threads) chosen[e] = 0;
    ctx.sync();
    for (index_t t = ctx.block_x() * warps + ctx.warp(); t < p.tokens; t += ctx.blocks_x() * warps) route(p, ctx, t);
    ctx.sync();
    for (int e = ctx.thread(); e < p.n; e += threads) {
      const std::int32_t times = chosen[e];
      if (times > 0) ctx.atomic_add(p.counts + e, times);
    }
  }

 private:
  static constexpr A nan = std::numeric_limits<A>::quiet_NaN(), lowest = -std::numeric_limits<A>::infinity();

  /// An expert that a lane proposes; `none`, with value NaN, when it has nothing left.
  struct Candidate {
    static constexpr int none = 1 << 30;
    A value, probability;
    int expert;
  };

  /// Whether a is to be chosen before b: the larger value, NaN below all others, the lower expert among equals.
  ASHLAR_DEVICE static bool better(const Candidate& a, const Candidate& b) {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a.value == b.value || (a_nan && b_nan)) return a.expert < b.expert;
    return a.value > b.value || b_nan;
  }

  ASHLAR_DEVICE static int expert(const Simt<Shared>& ctx, int j) { return ctx.lane() + j * warp_size; }

  ASHLAR_DEVICE static void route(const Params& p, Simt<Shared>& ctx, index_t token) {
    A probability[PerLane], value[PerLane];
    score(p, ctx, p.logits[token], probability);
    for (int j = 0; j < PerLane; ++j) {
      value[j] = probability[j];
      if (expert(ctx, j) >= p.n) continue;
      if (p.in_turn)
        value[j] = A(-((expert(ctx, j) + p.n - static_cast<int>(token * p.top_k % p.n)) % p.n));
      else if (p.bias)
        value[j] += ctx.load(p.bias + expert(ctx, j));
      ctx.store(p.probabilities[token] + expert(ctx, j), probability[j]);
    }

    unsigned taken = 0;  // bit j: this lane has no j-th expert, or it was chosen
    for (int j = 0; j < PerLane; ++j) taken |= (expert(ctx, j) < p.n ? 0u : 1u) << j;
    if (p.group_limit < p.groups && !p.in_turn) taken |= out_of_limit(p, ctx, probability, value, taken);
    A sum = 0;
    for (int k = 0; k < p.top_k; ++k) {
      const Candidate best = best_of_warp(ctx, probability, value, taken);
      sum += best.probability;
      if (best.expert % warp_size == ctx.lane()) taken |= 1u << (best.expert / warp_size);
      if (k % warp_size != ctx.lane()) continue;
      ctx.store(p.experts[token] + k, static_cast<std::int32_t>(best.expert));
      ctx.store(p.weights[token] + k, best.probability);
      ctx.atomic_add_shared(ctx.shared().chosen[best.expert], 1);
    }
    // Every lane scales the weights that it wrote.
    const A factor = p.scale / (p.normalize ? sum + A(1e-20) : A(1));
    for (int k = ctx.lane(); k < p.top_k; k += warp_size) {
      A* const weight = p.weights[token] + k;
      ctx.store(weight, ctx.load(weight) * factor);
    }
  }

  ASHLAR_DEVICE static void score(const Params& p, const Simt<Shared>& ctx, const A* logits, A (&out)[PerLane]) {
    for (int j = 0; j < PerLane; ++j) out[j] = expert(ctx, j) < p.n ? ctx.load(logits + expert(ctx, j)) : lowest;
    if (p.score == ScoreFunction::sigmoid) {
      for (int j = 0; j < PerLane; ++j) out[j] = A(1) / (A(1) + ctx.exp(-out[j]));
      return;
    }
    A top = lowest;
    for (int j = 0; j < PerLane; ++j) top = out[j] > top ? out[j] : top;
    top = warp_max(ctx, top);
    A sum = 0;
    for (int j = 0; j < PerLane; ++j) {
      out[j] = ctx.exp(out[j] - top);
      sum += out[j];  // e^-inf = 0 where there is no expert
    }
    sum = warp_sum(ctx, sum);
    for (int j = 0; j < PerLane; ++j) out[j] /= sum;
  }

  ASHLAR_DEVICE static Candidate best_of_warp(const Simt<Shared>& ctx, const A (&probability)[PerLane],
                                              const A (&value)[PerLane], unsigned taken) {
    Candidate best{nan, nan, Candidate::none};
    for (int j = 0; j < PerLane; ++j) {
      const Candidate mine{value[j], probability[j], expert(ctx, j)};
      if (!(taken >> j & 1u) && better(mine, best)) best = mine;
    }
    return best_of_lanes(ctx, best);
  }
  ASHLAR_DEVICE static Candidate best_of_lanes(const Simt<Shared>& ctx, Candidate best) {
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) {
      const Candidate other{ctx.shuffle_xor(best.value, lanes), ctx.shuffle_xor(best.probability, lanes),
                            ctx.shuffle_xor(best.expert, lanes)};
      if (better(other, best)) best = other;
    }
    return best;
  }

  /// The bits of this lane's experts whose groups are not among the best. Lane g keeps the value of group g: there are
  /// at most 32.
  ASHLAR_DEVICE static unsigned out_of_limit(const Params& p, const Simt<Shared>& ctx, const A (&probability)[PerLane],
                                             const A (&value)[PerLane], unsigned taken) {
    const int size = p.n / p.groups;
    Candidate mine{nan, nan, Candidate::none};
    for (int g = 0; g < p.groups; ++g) {
      unsigned others = taken;
      for (int j = 0; j < PerLane; ++j) others |= (expert(ctx, j) / size == g ? 0u : 1u) << j;
      A sum = 0;
      for (int i = 0; i < p.group_best && i < size; ++i) {
        const Candidate best = best_of_warp(ctx, probability, value, others);
        sum += best.value;
        if (best.expert % warp_size == ctx.lane()) others |= 1u << (best.expert / warp_size);
      }
      if (g == ctx.lane()) mine = {sum, sum, g};
    }
    unsigned allowed = 0;
    for (int i = 0; i < p.group_limit; ++i) {
      const int best = best_of_lanes(ctx, mine).expert;
      if (best == ctx.lane()) mine = {nan, nan, Candidate::none};
      for (int j = 0; j < PerLane; ++j) allowed |= (expert(ctx, j) / size == best ? 1u : 0u) << j;
    }
    return ~allowed;
  }
};

/// A warp has a token. All lanes walk its choices; dlogits of experts that were not chosen is 0 but for the softmax.
template <class A>
struct RouterBackward {
  struct Params {
    Rows<const A> probabilities;
    Rows<const std::int32_t> experts;
    Rows<const A> dweights;
    Rows<A> dlogits;
    index_t tokens;
    int n, top_k;
    ScoreFunction score;
    bool normalize;
    A scale;
  };
  using Shared = NoShared;
  static constexpr int threads = router_tuning.threads, warps = threads / warp_size;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t token = ctx.block_x() * warps + ctx.warp();
    if (token >= p.tokens) return;
    const A* const probability = p.probabilities[token];
    const std::int32_t* const experts = p.experts[token];
    const A* const dweight = p.dweights[token];
    A* const dlogit = p.dlogits[token];
    const auto chosen = [&](int k) { return ctx.load(probability + ctx.load(experts + k)); };

    // w = factor p, where factor = scale / sum of the chosen p: dp = factor (dw - sum of dw p / sum of p).
    A factor = p.scale, shift = 0, dot = 0;
    if (p.normalize) {
      A sum = A(1e-20);
      for (int k = 0; k < p.top_k; ++k) {
        const A p_k = chosen(k);
        sum += p_k;
        shift += ctx.load(dweight + k) * p_k;
      }
      factor /= sum;
      shift /= sum;
    }
    const bool softmax = p.score == ScoreFunction::softmax;
    if (softmax)
      for (int k = 0; k < p.top_k; ++k) dot += chosen(k) * (factor * (ctx.load(dweight + k) - shift));
    for (int e = ctx.lane(); e < p.n; e += warp_size)
      ctx.store(dlogit + e, softmax ? ctx.load(probability + e) * (A(0) - dot) : A(0));
    ctx.sync_warp();  // the choices overwrite what other lanes wrote
    for (int k = ctx.lane(); k < p.top_k; k += warp_size) {
      const A p_k = chosen(k), dp = factor * (ctx.load(dweight + k) - shift);
      ctx.store(dlogit + ctx.load(experts + k), softmax ? p_k * (dp - dot) : dp * p_k * (A(1) - p_k));
    }
  }
};

}  // namespace kernel

/// Throws Error for more than router_tuning.max_experts experts, or 32 groups that are limited.
template <class A>
void top_k_router(Cuda::Queue& queue, const RouterOptions& options, TensorView<const A, Cuda> logits,
                  TensorView<const A, Cuda> bias, TensorView<A, Cuda> probabilities,
                  TensorView<std::int32_t, Cuda> experts, TensorView<A, Cuda> weights,
                  TensorView<std::int32_t, Cuda> counts) {
  const index_t n = logits.cols(), tokens = logits.rows();
  if (n > router_tuning.max_experts)
    fail(concat("top_k_router: ", n, " experts are more than the ", router_tuning.max_experts, " of the Cuda kernel"));
  const kernel::RouterParams<A> params{rows_of(logits),
                                       bias.data(),
                                       rows_of(probabilities),
                                       rows_of(experts),
                                       rows_of(weights),
                                       counts.data(),
                                       tokens,
                                       static_cast<int>(n),
                                       static_cast<int>(options.top_k),
                                       options.score,
                                       options.normalize,
                                       options.in_turn,
                                       A(options.scale),
                                       static_cast<int>(options.groups),
                                       static_cast<int>(options.group_limit),
                                       static_cast<int>(options.group_best)};
  if (options.group_limit < options.groups && options.groups > warp_size)
    fail(concat("top_k_router: ", options.groups, " groups are more than the 32 of the Cuda kernel"));
  const auto route = [&]<int per_lane>(std::integral_constant<int, per_lane>) {
    using Kernel = kernel::Router<A, per_lane>;
    const index_t blocks = ceil_div(tokens, Kernel::warps);
    launch<Kernel>(queue, {blocks < router_tuning.max_blocks ? blocks : router_tuning.max_blocks}, params);
  };
  if (n <= 32)
    route(std::integral_constant<int, 1>());
  else if (n <= 64)
    route(std::integral_constant<int, 2>());
  else if (n <= 128)
    route(std::integral_constant<int, 4>());
  else if (n <= 256)
    route(std::integral_constant<int, 8>());
  else
    route(std::integral_constant<int, router_tuning.max_experts / warp_size>());
}

template <class A>
void top_k_router_backward(Cuda::Queue& queue, const RouterOptions& options, TensorView<const A, Cuda> probabilities,
                           TensorView<const std::int32_t, Cuda> experts, TensorView<const A, Cuda> dweights,
                           TensorView<A, Cuda> dlogits) {
  using Kernel = kernel::RouterBackward<A>;
  const index_t tokens = dlogits.rows();
  launch<Kernel>(queue, {ceil_div(tokens, Kernel::warps)},
                 {rows_of(probabilities), rows_of(experts), rows_of(dweights), rows_of(dlogits), tokens,
                  static_cast<int>(dlogits.cols()), static_cast<int>(experts.cols()), options.score, options.normalize,
                  A(options.scale)});
}

}  // namespace ashlar::inline v0::ops::cuda
