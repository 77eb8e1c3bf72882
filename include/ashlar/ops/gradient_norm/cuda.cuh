// The gradient norm on Cuda: a sum over the grid, and one thread that turns it into norm and scale, so that the host
// need not wait. Read next: device/cuda/grid_sum.cuh.
#pragma once

#include <limits>

#include "ashlar/device/cuda/grid_sum.cuh"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/ops/gradient_norm/gradient_norm.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

struct Square {
  ASHLAR_DEVICE static double of(double x) { return x * x; }
};

template <class A>
struct ClipScale {
  struct Params {
    const double* sum_of_squares;
    double max_norm;
    A* norm_and_scale;
  };
  using Shared = NoShared;
  static constexpr int threads = warp_size;
  static constexpr A nan = std::numeric_limits<A>::quiet_NaN();

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    if (ctx.thread() > 0) return;
    const double norm = ctx.sqrt(ctx.load(p.sum_of_squares));
    const double clip = p.max_norm / (norm + 1e-6);
    const double scale = p.max_norm > 0 && clip < 1 ? clip : 1;
    const A rounded = A(norm);
    ctx.store(p.norm_and_scale, rounded);
    const bool finite = rounded - rounded == 0;  // infinity minus infinity is NaN
    ctx.store(p.norm_and_scale + 1, finite ? A(scale) : nan);
    if (!finite) ctx.store(p.norm_and_scale + 2, ctx.load(p.norm_and_scale + 2) + A(1));
  }
};

}  // namespace kernel

template <class A>
void sum_of_squares(Cuda::Queue& queue, TensorView<const A, Cuda> x, TensorView<double, Cuda> sum,
                    TensorView<double, Cuda> workspace) {
  grid_sum<kernel::Square>(queue, x, workspace, sum);
}

template <class A>
void clip_scale(Cuda::Queue& queue, TensorView<const double, Cuda> sum_of_squares, double max_norm,
                TensorView<A, Cuda> norm_and_scale) {
  launch<kernel::ClipScale<A>>(queue, {1}, {sum_of_squares.data(), max_norm, norm_and_scale.data()});
}

}  // namespace ashlar::inline v0::ops::cuda
