// Muon's passes on Cuda, a thread an element: what they move is little beside the matrix products. Read next:
// device/cuda/launch.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/muon/muon.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// f(ctx, i) for each of n elements.
template <class F>
struct ForEachElement {
  struct Params {
    F f;
    index_t n;
  };
  using Shared = NoShared;
  static constexpr int threads = 256;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t i = ctx.block_x() * threads + ctx.thread();
    if (i < p.n) p.f(ctx, i);
  }
};

template <class A>
ASHLAR_DEVICE bool is_finite(A x) {
  return x - x == 0;  // infinity minus infinity is NaN
}

template <class T>
struct Momentum {
  using A = Acc<T>;
  const A *gradient_scale, *gradient;
  A* buffer;
  T* direction;
  A keep, rest;
  bool nesterov;

  ASHLAR_DEVICE void operator()(Simt<NoShared>& ctx, index_t i) const {
    const A scale = ctx.load(gradient_scale);
    if (!is_finite(scale)) return ctx.store(direction + i, T(A(0)));
    const A part = rest * (ctx.load(gradient + i) * scale);
    const A b = keep * ctx.load(buffer + i) + part;
    ctx.store(buffer + i, b);
    ctx.store(direction + i, T(nesterov ? keep * b + part : b));
  }
};

template <class T>
struct Normalize {
  using A = Acc<T>;
  Rows<const T> x;
  const double* sum_of_squares;
  Rows<T> out;
  index_t cols;
  double eps;

  ASHLAR_DEVICE void operator()(Simt<NoShared>& ctx, index_t i) const {
    const double norm = ctx.sqrt(ctx.load(sum_of_squares));
    const A scale = A(1 / (norm > eps ? norm : eps));
    ctx.store(out[i / cols] + i % cols, T(A(ctx.load(x[i / cols] + i % cols)) * scale));
  }
};

template <class T>
struct Combine {
  using A = Acc<T>;
  const T* x;
  const A* y;
  T* out;
  A alpha, beta;

  ASHLAR_DEVICE void operator()(Simt<NoShared>& ctx, index_t i) const {
    ctx.store(out + i, T(alpha * A(ctx.load(x + i)) + beta * ctx.load(y + i)));
  }
};

template <class T>
struct Descend {
  using A = Acc<T>;
  const A* gradient_scale;
  Rows<const T> direction;
  index_t first, cols;
  A* parameter;
  T* compute_copy;  // may be null
  A decay, rate;

  ASHLAR_DEVICE void operator()(Simt<NoShared>& ctx, index_t i) const {
    if (!is_finite(ctx.load(gradient_scale))) return;
    const A d = A(ctx.load(direction[(first + i) / cols] + (first + i) % cols));
    const A p = ctx.load(parameter + i) * decay - rate * d;
    ctx.store(parameter + i, p);
    if (compute_copy) ctx.store(compute_copy + i, T(p));
  }
};

template <class F>
void for_each_element(Cuda::Queue& queue, index_t n, const F& f) {
  using Kernel = ForEachElement<F>;
  launch<Kernel>(queue, {ceil_div(n, Kernel::threads)}, {f, n});
}

}  // namespace kernel

template <class T>
void momentum(Cuda::Queue& queue, const MomentumStep& step, TensorView<const Acc<T>, Cuda> gradient_scale,
              TensorView<const Acc<T>, Cuda> gradient, TensorView<Acc<T>, Cuda> buffer, TensorView<T, Cuda> direction) {
  using A = Acc<T>;
  kernel::for_each_element(queue, buffer.count(),
                           kernel::Momentum<T>{gradient_scale.data(), gradient.data(), buffer.data(), direction.data(),
                                               A(step.momentum), A(1 - step.momentum), step.nesterov});
}

template <class T>
void normalize(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const double, Cuda> sum_of_squares,
               double eps, TensorView<T, Cuda> out) {
  kernel::for_each_element(queue, x.count(),
                           kernel::Normalize<T>{rows_of(x), sum_of_squares.data(), rows_of(out), x.cols(), eps});
}

template <class T>
void combine(Cuda::Queue& queue, double alpha, TensorView<const T, Cuda> x, double beta,
             TensorView<const Acc<T>, Cuda> y, TensorView<T, Cuda> out) {
  kernel::for_each_element(queue, out.count(),
                           kernel::Combine<T>{x.data(), y.data(), out.data(), Acc<T>(alpha), Acc<T>(beta)});
}

template <class T>
void descend(Cuda::Queue& queue, const DescentStep& step, TensorView<const Acc<T>, Cuda> gradient_scale,
             TensorView<const T, Cuda> direction, index_t first, TensorView<Acc<T>, Cuda> parameter,
             TensorView<T, Cuda> compute_copy) {
  using A = Acc<T>;
  kernel::for_each_element(
      queue, parameter.count(),
      kernel::Descend<T>{gradient_scale.data(), rows_of(direction), first, direction.cols(), parameter.data(),
                         compute_copy.data(), A(1 - step.lr * step.weight_decay), A(step.rate)});
}

}  // namespace ashlar::inline v0::ops::cuda
