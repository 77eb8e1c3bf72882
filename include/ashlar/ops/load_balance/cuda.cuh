// The load-balancing update on Cuda: one warp, a few experts a lane. Contract: ops/load_balance/load_balance.hpp.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/ops/load_balance/load_balance.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace detail {
template <class A>
struct UpdateExpertBias {
  struct Params {
    std::int32_t* counts;
    A* bias;
    index_t experts;
    double coefficient;
  };
  using Shared = NoShared;
  static constexpr int threads = 32;

  ASHLAR_DEVICE static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    double total = 0;
    for (index_t e = ctx.lane(); e < p.experts; e += warp_size) total += ctx.load(p.counts + e);
    for (int step = 16; step > 0; step /= 2) total += ctx.shuffle_xor(total, step);
    const double mean = total / static_cast<double>(p.experts);
    double delta_sum = 0;
    for (index_t e = ctx.lane(); e < p.experts; e += warp_size) delta_sum += sign(mean - ctx.load(p.counts + e));
    for (int step = 16; step > 0; step /= 2) delta_sum += ctx.shuffle_xor(delta_sum, step);
    const double mean_delta = p.coefficient * delta_sum / static_cast<double>(p.experts);
    for (index_t e = ctx.lane(); e < p.experts; e += warp_size) {
      const double delta = p.coefficient * sign(mean - ctx.load(p.counts + e)) - mean_delta;
      ctx.store(p.bias + e, static_cast<A>(ctx.load(p.bias + e) + static_cast<A>(delta)));
      ctx.store(p.counts + e, std::int32_t{0});
    }
  }
};
}  // namespace detail

template <class A>
void update_expert_bias(Cuda::Queue& queue, TensorView<std::int32_t, Cuda> counts, double coefficient,
                        TensorView<A, Cuda> bias) {
  launch<detail::UpdateExpertBias<A>>(queue, {bias.count() > 0 ? index_t{1} : index_t{0}},
                                      {counts.data(), bias.data(), bias.count(), coefficient});
}

}  // namespace ashlar::inline v0::ops::cuda
