// AdamW on a flat range of parameters (Loshchilov and Hutter 2019, arXiv:1711.05101), writing the compute copy too.
// Read next: ops/adamw/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/adamw/cpu.hpp"
#include "ashlar/ops/adamw/step.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void adamw(Cuda::Queue&, const AdamWStep& step, TensorView<const Acc<T>, Cuda> gradient_scale,
           TensorView<const Acc<T>, Cuda> gradient, TensorView<Acc<T>, Cuda> parameter,
           TensorView<Acc<T>, Cuda> exp_avg, TensorView<Acc<T>, Cuda> exp_avg_sq, TensorView<T, Cuda> compute_copy);
}

/// One step on n elements, in Acc<T>: with g = gradient * gradient_scale[0],
///   parameter *= 1 - lr weight_decay (where the decay is coupled, g += weight_decay parameter instead);  exp_avg =
///   beta1 exp_avg + (1 - beta1) g;  exp_avg_sq = beta2 exp_avg_sq + (1 - beta2) g^2; parameter -= lr /
///   bias_correction1 * exp_avg / (sqrt(exp_avg_sq / bias_correction2) + eps).
/// compute_copy [n], when not empty, receives the new parameter rounded to T. A gradient_scale that is not finite makes
/// the step a no-op: nothing is written.
template <class T, class D>
void adamw(typename D::Queue& queue, const AdamWStep& step, In<Acc<T>, D> gradient_scale, In<Acc<T>, D> gradient,
           std::type_identity_t<TensorView<Acc<T>, D>> parameter, std::type_identity_t<TensorView<Acc<T>, D>> exp_avg,
           std::type_identity_t<TensorView<Acc<T>, D>> exp_avg_sq, TensorView<T, D> compute_copy) {
  check(gradient.count() == parameter.count() && exp_avg.count() == parameter.count() &&
            exp_avg_sq.count() == parameter.count() && gradient_scale.count() == 1,
        "adamw: gradient, parameter, exp_avg and exp_avg_sq must have one length, gradient_scale one element");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(14.0 * parameter.count(), gradient, parameter, parameter, exp_avg, exp_avg, exp_avg_sq, exp_avg_sq,
                compute_copy);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::adamw<T>(step, gradient_scale, gradient, parameter, exp_avg, exp_avg_sq, compute_copy);
  else
    cuda::adamw<T>(queue, step, gradient_scale, gradient, parameter, exp_avg, exp_avg_sq, compute_copy);
}

}  // namespace ashlar::inline v0::ops
