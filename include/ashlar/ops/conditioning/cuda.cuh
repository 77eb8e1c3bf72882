// What makes a condition, on Cuda: a thread an element. Read next: device/cuda/launch.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/ops/conditioning/conditioning.hpp"
#include "ashlar/ops/conditioning/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct TimestepFeatures {
  struct Params {
    const float* t;
    T* out;
    index_t width, n;
  };
  using Shared = NoShared;
  static constexpr int threads = conditioning_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t i = ctx.block_x() * threads + ctx.thread();
    if (i >= p.n) return;
    ctx.store(p.out + i, T(Acc<T>(timestep_feature(double(ctx.load(p.t + i / p.width)), i % p.width, p.width))));
  }
};

template <class T>
struct Silu {
  using A = Acc<T>;
  struct Params {
    const T* x;
    T* y;
    index_t n;
  };
  using Shared = NoShared;
  static constexpr int threads = conditioning_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t i = ctx.block_x() * threads + ctx.thread();
    if (i >= p.n) return;
    const A x = A(ctx.load(p.x + i));
    ctx.store(p.y + i, T(x / (A(1) + ctx.exp(-x))));
  }
};

template <class T>
struct SiluBackward {
  using A = Acc<T>;
  struct Params {
    const T *dy, *x;
    T* dx;
    index_t n;
  };
  using Shared = NoShared;
  static constexpr int threads = conditioning_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t i = ctx.block_x() * threads + ctx.thread();
    if (i >= p.n) return;
    const A x = A(ctx.load(p.x + i)), s = A(1) / (A(1) + ctx.exp(-x));
    ctx.store(p.dx + i, T(A(ctx.load(p.dx + i)) + A(ctx.load(p.dy + i)) * s * (A(1) + x * (A(1) - s))));
  }
};

}  // namespace kernel

template <class T>
void timestep_features(Cuda::Queue& queue, TensorView<const float, Cuda> t, TensorView<T, Cuda> out) {
  using Kernel = kernel::TimestepFeatures<T>;
  launch<Kernel>(queue, {ceil_div(out.count(), index_t{Kernel::threads})},
                 {t.data(), out.data(), out.cols(), out.count()});
}

template <class T>
void silu(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<T, Cuda> y) {
  using Kernel = kernel::Silu<T>;
  launch<Kernel>(queue, {ceil_div(x.count(), index_t{Kernel::threads})}, {x.data(), y.data(), x.count()});
}

template <class T>
void silu_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                   TensorView<T, Cuda> dx) {
  using Kernel = kernel::SiluBackward<T>;
  launch<Kernel>(queue, {ceil_div(x.count(), index_t{Kernel::threads})}, {dy.data(), x.data(), dx.data(), x.count()});
}

}  // namespace ashlar::inline v0::ops::cuda
