// AdamW on Cuda: one pass over packs of 16 bytes. Whether to skip the step is read on the device, so that the host need
// not wait. Read next: ops/adamw/tuning.hpp, device/cuda/pack.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/adamw/adamw.hpp"
#include "ashlar/ops/adamw/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct AdamW {
  using A = Acc<T>;
  struct Params {
    const A *gradient_scale, *gradient;
    A *parameter, *exp_avg, *exp_avg_sq;
    T* compute_copy;  // may be null
    index_t n;
    A beta1, rest1, beta2, rest2;  // rest: 1 - beta
    A decay, added, rate, correction2, eps;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = adamw_tuning.threads, width = pack_size<A>;
  static constexpr int tile = threads * width * adamw_tuning.packs_per_thread;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const A scale = ctx.load(p.gradient_scale);
    if (!(scale - scale == 0)) return;  // infinity minus infinity is NaN
    const index_t begin = ctx.block_x() * tile + ctx.thread() * width;
    for (int k = 0; k < adamw_tuning.packs_per_thread; ++k) {
      const index_t i = begin + k * threads * width, left = p.n - i;
      if (left <= 0) return;
      const auto gradient = load_pack<width>(ctx, p.gradient + i, left, p.aligned);
      auto parameter = load_pack<width>(ctx, p.parameter + i, left, p.aligned);
      auto exp_avg = load_pack<width>(ctx, p.exp_avg + i, left, p.aligned);
      auto exp_avg_sq = load_pack<width>(ctx, p.exp_avg_sq + i, left, p.aligned);
      Pack<T, width> copy;
      for (int j = 0; j < width; ++j) {
        A &m = exp_avg.values[j], &v = exp_avg_sq.values[j], &x = parameter.values[j];
        const A g = gradient.values[j] * scale + p.added * x;
        m = p.beta1 * m + p.rest1 * g;
        v = p.beta2 * v + p.rest2 * (g * g);
        x = x * p.decay - p.rate * (m / (ctx.sqrt(v * p.correction2) + p.eps));
        copy.values[j] = T(x);
      }
      store_pack(ctx, p.parameter + i, parameter, left, p.aligned);
      store_pack(ctx, p.exp_avg + i, exp_avg, left, p.aligned);
      store_pack(ctx, p.exp_avg_sq + i, exp_avg_sq, left, p.aligned);
      if (p.compute_copy) store_pack(ctx, p.compute_copy + i, copy, left, p.aligned);
    }
  }
};

}  // namespace kernel

template <class T>
void adamw(Cuda::Queue& queue, const AdamWStep& step, TensorView<const Acc<T>, Cuda> gradient_scale,
           TensorView<const Acc<T>, Cuda> gradient, TensorView<Acc<T>, Cuda> parameter,
           TensorView<Acc<T>, Cuda> exp_avg, TensorView<Acc<T>, Cuda> exp_avg_sq, TensorView<T, Cuda> compute_copy) {
  using A = Acc<T>;
  using Kernel = kernel::AdamW<T>;
  const bool aligned = packs_aligned<Kernel::width>(gradient, parameter, exp_avg, exp_avg_sq, compute_copy);
  // Differences to 1 are taken in double, before rounding to A.
  launch<Kernel>(
      queue, {ceil_div(parameter.count(), Kernel::tile)},
      {gradient_scale.data(), gradient.data(), parameter.data(), exp_avg.data(), exp_avg_sq.data(), compute_copy.data(),
       parameter.count(), A(step.beta1), A(1 - step.beta1), A(step.beta2), A(1 - step.beta2), A(step.decay()),
       A(step.added()), A(step.lr / step.bias_correction1), A(1 / step.bias_correction2), A(step.eps), aligned});
}

}  // namespace ashlar::inline v0::ops::cuda
