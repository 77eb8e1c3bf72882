// Squared errors on Cuda: a block has a row. Read next: device/cuda/reduce.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/squared_error/squared_error.hpp"
#include "ashlar/ops/squared_error/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct SquaredError {
  using A = Acc<T>;
  struct Params {
    Rows<const T> x;
    Rows<const float> target;
    Rows<T> dx;  // null: not wanted
    A* loss;
    index_t cols;
    A scale;
  };
  struct Shared {
    SharedArray<A, warp_size> partial;
  };
  static constexpr int threads = squared_error_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x();
    A sum = 0;
    for (index_t c = ctx.thread(); c < p.cols; c += threads) {
      const A error = A(ctx.load(p.x[row] + c)) - A(ctx.load(p.target[row] + c));
      sum += error * error;
      if (p.dx.data) ctx.store(p.dx[row] + c, T(A(2) * p.scale * error / A(p.cols)));
    }
    sum = block_sum(ctx, ctx.shared().partial, sum);
    if (ctx.thread() == 0) ctx.store(p.loss + row, sum / A(p.cols));
  }
};

}  // namespace kernel

template <class T>
void squared_error(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const float, Cuda> target, double scale,
                   TensorView<T, Cuda> dx, TensorView<Acc<T>, Cuda> loss) {
  launch<kernel::SquaredError<T>>(
      queue, {x.rows()}, {rows_of(x), rows_of(target), rows_of(dx), loss.data(), x.cols(), static_cast<Acc<T>>(scale)});
}

}  // namespace ashlar::inline v0::ops::cuda
