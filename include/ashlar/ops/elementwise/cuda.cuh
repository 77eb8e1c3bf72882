// Elementwise passes on Cuda, over packs of 16 bytes. Read next: device/cuda/pack.cuh, device/cuda/grid_sum.cuh.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/grid_sum.cuh"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/elementwise/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct Add {
  struct Params {
    const T *a, *b;
    T* out;
    index_t n;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = elementwise_tuning.threads, width = pack_size<T>;
  static constexpr int tile = threads * width * elementwise_tuning.packs_per_thread;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t begin = ctx.block_x() * tile + ctx.thread() * width;
    for (int k = 0; k < elementwise_tuning.packs_per_thread; ++k) {
      const index_t i = begin + k * threads * width;
      if (i >= p.n) return;
      const auto a = load_pack<width>(ctx, p.a + i, p.n - i, p.aligned);
      const auto b = load_pack<width>(ctx, p.b + i, p.n - i, p.aligned);
      Pack<T, width> out;
      for (int j = 0; j < width; ++j) out.values[j] = T(Acc<T>(a.values[j]) + Acc<T>(b.values[j]));
      store_pack(ctx, p.out + i, out, p.n - i, p.aligned);
    }
  }
};

template <class From, class To>
struct Cast {
  struct Params {
    const From* x;
    To* out;
    index_t n;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = elementwise_tuning.threads, width = pack_size<From, To>;
  static constexpr int tile = threads * width * elementwise_tuning.packs_per_thread;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t begin = ctx.block_x() * tile + ctx.thread() * width;
    for (int k = 0; k < elementwise_tuning.packs_per_thread; ++k) {
      const index_t i = begin + k * threads * width;
      if (i >= p.n) return;
      const auto x = load_pack<width>(ctx, p.x + i, p.n - i, p.aligned);
      Pack<To, width> out;
      for (int j = 0; j < width; ++j) out.values[j] = static_cast<To>(x.values[j]);
      store_pack(ctx, p.out + i, out, p.n - i, p.aligned);
    }
  }
};

template <class T>
struct Scale {
  struct Params {
    T* x;
    Acc<T> factor;
    index_t n;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = elementwise_tuning.threads, width = pack_size<T>;
  static constexpr int tile = threads * width * elementwise_tuning.packs_per_thread;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t begin = ctx.block_x() * tile + ctx.thread() * width;
    for (int k = 0; k < elementwise_tuning.packs_per_thread; ++k) {
      const index_t i = begin + k * threads * width;
      if (i >= p.n) return;
      auto x = load_pack<width>(ctx, p.x + i, p.n - i, p.aligned);
      for (int j = 0; j < width; ++j) x.values[j] = T(Acc<T>(x.values[j]) * p.factor);
      store_pack(ctx, p.x + i, x, p.n - i, p.aligned);
    }
  }
};

/// A thread has elements of the rows, one at a time: rows need not be aligned.
template <class T>
struct ScaleRows {
  using A = Acc<T>;
  struct Params {
    Rows<T> x;
    const float* weights;
    index_t cols, n;
  };
  using Shared = NoShared;
  static constexpr int threads = elementwise_tuning.threads;
  static constexpr int tile = threads * elementwise_tuning.packs_per_thread;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    for (int k = 0; k < elementwise_tuning.packs_per_thread; ++k) {
      const index_t i = ctx.block_x() * tile + k * threads + ctx.thread();
      if (i >= p.n) return;
      const A w = A(ctx.load(p.weights + i / p.cols));
      T* const x = p.x[i / p.cols] + i % p.cols;
      ctx.store(x, w == A(0) ? T(A(0)) : T(A(ctx.load(x)) * w));
    }
  }
};

template <class T>
struct CountNonFinite {
  struct Params {
    const T* x;
    std::int32_t* count;
    index_t n;
    bool aligned;
  };
  struct Shared {
    SharedArray<std::int32_t, warp_size> partial;
  };
  static constexpr int threads = elementwise_tuning.threads, width = pack_size<T>;
  static constexpr int tile = threads * width * elementwise_tuning.counting_packs;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t begin = ctx.block_x() * tile;
    const index_t end = begin + tile < p.n ? begin + tile : p.n;
    std::int32_t found = 0;
    for (index_t i = begin + ctx.thread() * width; i < end; i += threads * width) {
      const auto x = load_pack<width>(ctx, p.x + i, end - i, p.aligned);
      for (int j = 0; j < width; ++j) {
        const auto value = Acc<T>(x.values[j]);
        found += !(value - value == 0);  // infinity minus infinity is NaN
      }
    }
    found = block_sum(ctx, ctx.shared().partial, found);
    // Integers: the order in which blocks add does not show.
    if (ctx.thread() == 0 && found > 0) ctx.atomic_add(p.count, found);
  }
};

struct Identity {
  ASHLAR_DEVICE static double of(double x) { return x; }
};

}  // namespace kernel

template <class T>
void add(Cuda::Queue& queue, TensorView<const T, Cuda> a, TensorView<const T, Cuda> b, TensorView<T, Cuda> out) {
  using Kernel = kernel::Add<T>;
  launch<Kernel>(queue, {ceil_div(out.count(), Kernel::tile)},
                 {a.data(), b.data(), out.data(), out.count(), packs_aligned<Kernel::width>(a, b, out)});
}

template <class From, class To>
void cast(Cuda::Queue& queue, TensorView<const From, Cuda> x, TensorView<To, Cuda> out) {
  using Kernel = kernel::Cast<From, To>;
  launch<Kernel>(queue, {ceil_div(out.count(), Kernel::tile)},
                 {x.data(), out.data(), out.count(), packs_aligned<Kernel::width>(x, out)});
}

template <class T>
void scale(Cuda::Queue& queue, TensorView<T, Cuda> x, double factor) {
  using Kernel = kernel::Scale<T>;
  launch<Kernel>(queue, {ceil_div(x.count(), Kernel::tile)},
                 {x.data(), static_cast<Acc<T>>(factor), x.count(), packs_aligned<Kernel::width>(x)});
}

template <class T>
void scale_rows(Cuda::Queue& queue, TensorView<T, Cuda> x, TensorView<const float, Cuda> weights) {
  using Kernel = kernel::ScaleRows<T>;
  launch<Kernel>(queue, {ceil_div(x.count(), Kernel::tile)}, {rows_of(x), weights.data(), x.cols(), x.count()});
}

template <class A>
void sum(Cuda::Queue& queue, TensorView<const A, Cuda> x, TensorView<double, Cuda> total,
         TensorView<double, Cuda> workspace) {
  grid_sum<kernel::Identity>(queue, x, workspace, total);
}

template <class T>
void count_non_finite(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<std::int32_t, Cuda> count) {
  using Kernel = kernel::CountNonFinite<T>;
  launch<Kernel>(queue, {ceil_div(x.count(), Kernel::tile)},
                 {x.data(), count.data(), x.count(), packs_aligned<Kernel::width>(x)});
}

}  // namespace ashlar::inline v0::ops::cuda
