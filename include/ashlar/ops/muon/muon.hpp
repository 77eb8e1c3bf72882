// The parts of Muon beside its matrix products (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum, the
// norm, a polynomial's sums, and the step. Read next: ops/muon/newton_schulz.hpp, optim/rules/muon.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/muon/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void momentum(Cuda::Queue&, const MomentumStep& step, TensorView<const Acc<T>, Cuda> gradient_scale,
              TensorView<const Acc<T>, Cuda> gradient, TensorView<Acc<T>, Cuda> buffer, TensorView<T, Cuda> direction);
template <class T>
void normalize(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const double, Cuda> sum_of_squares, double eps,
               TensorView<T, Cuda> out);
template <class T>
void combine(Cuda::Queue&, double alpha, TensorView<const T, Cuda> x, double beta, TensorView<const Acc<T>, Cuda> y,
             TensorView<T, Cuda> out);
template <class T>
void descend(Cuda::Queue&, const DescentStep& step, TensorView<const Acc<T>, Cuda> gradient_scale,
             TensorView<const T, Cuda> direction, index_t first, TensorView<Acc<T>, Cuda> parameter,
             TensorView<T, Cuda> compute_copy);
}  // namespace cuda

/// On n elements, in Acc<T>: with g = gradient * gradient_scale[0], buffer = momentum buffer + (1 - momentum) g, and
/// direction = buffer, or where `nesterov` momentum buffer + (1 - momentum) g once more, rounded to T. A gradient_scale
/// that is not finite leaves the buffer, and direction is 0.
template <class T, class D>
void momentum(typename D::Queue& queue, const MomentumStep& step, In<Acc<T>, D> gradient_scale, In<Acc<T>, D> gradient,
              std::type_identity_t<TensorView<Acc<T>, D>> buffer, TensorView<T, D> direction) {
  check(gradient.count() == buffer.count() && direction.count() == buffer.count() && gradient_scale.count() == 1,
        "momentum: gradient, buffer and direction must have one length, gradient_scale one element");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(7.0 * buffer.count(), gradient, buffer, buffer, direction);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::momentum<T>(step, gradient_scale, gradient, buffer, direction);
  else
    cuda::momentum<T>(queue, step, gradient_scale, gradient, buffer, direction);
}

/// out = x / max(sqrt(sum_of_squares[0]), eps), both [R, C]; row strides are free.
template <class T, class D>
void normalize(typename D::Queue& queue, In<T, D> x, In<double, D> sum_of_squares, double eps, TensorView<T, D> out) {
  check(x.rows() == out.rows() && x.cols() == out.cols() && sum_of_squares.count() == 1,
        "normalize: x and out must be [R, C], and there is one sum");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(1.0 * x.count(), x, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::normalize<T>(x, sum_of_squares, eps, out);
  else
    cuda::normalize<T>(queue, x, sum_of_squares, eps, out);
}

/// out = alpha x + beta y, elementwise over contiguous tensors of one count, rounded once. out may alias x.
template <class T, class D>
void combine(typename D::Queue& queue, double alpha, In<T, D> x, double beta, In<Acc<T>, D> y, TensorView<T, D> out) {
  check(x.count() == out.count() && y.count() == out.count() && x.contiguous() && y.contiguous() && out.contiguous(),
        "combine: x, y and out must be contiguous and have one count");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(3.0 * out.count(), x, y, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::combine<T>(alpha, x, beta, y, out);
  else
    cuda::combine<T>(queue, alpha, x, beta, y, out);
}

/// parameter [n] = parameter (1 - lr weight_decay) - rate d, where d are the elements first .. first + n of direction
/// [R, C], counted row by row; its row stride is free. compute_copy [n], when not empty, receives the new parameter
/// rounded to T. A gradient_scale that is not finite makes the step a no-op.
template <class T, class D>
void descend(typename D::Queue& queue, const DescentStep& step, In<Acc<T>, D> gradient_scale, In<T, D> direction,
             index_t first, std::type_identity_t<TensorView<Acc<T>, D>> parameter, TensorView<T, D> compute_copy) {
  check(first >= 0 && first + parameter.count() <= direction.count() && gradient_scale.count() == 1 &&
            (!compute_copy || compute_copy.count() == parameter.count()),
        "descend: the parameters must be elements of the direction, gradient_scale one element");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(3.0 * parameter.count(), parameter, parameter, compute_copy, compute_copy);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::descend<T>(step, gradient_scale, direction, first, parameter, compute_copy);
  else
    cuda::descend<T>(queue, step, gradient_scale, direction, first, parameter, compute_copy);
}

}  // namespace ashlar::inline v0::ops
