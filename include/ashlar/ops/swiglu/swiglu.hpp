// The gated activation of SwiGLU (Shazeer 2020, arXiv:2002.05202): h = silu(gate) up. Read next: ops/swiglu/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/swiglu/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void swiglu(Cuda::Queue&, TensorView<const T, Cuda> gate, TensorView<const T, Cuda> up, TensorView<T, Cuda> h);
template <class T>
void swiglu_backward(Cuda::Queue&, TensorView<const T, Cuda> dh, TensorView<const T, Cuda> gate,
                     TensorView<const T, Cuda> up, TensorView<T, Cuda> dgate, TensorView<T, Cuda> dup);
}  // namespace cuda

/// h [N, F] = silu(gate) up, in Acc<T>, rounded once. h may alias gate or up.
template <class T, class D>
void swiglu(typename D::Queue& queue, In<T, D> gate, In<T, D> up, TensorView<T, D> h) {
  check(gate.count() == h.count() && up.count() == h.count(), "swiglu: gate, up and h must be [N, F]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(5.0 * h.count(), gate, up, h);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::swiglu<T>(gate, up, h);
  else
    cuda::swiglu<T>(queue, gate, up, h);
}

/// With s = sigmoid(gate): dup = dh gate s, dgate = dh up s (1 + gate (1 - s)). dgate may alias dh or gate, dup may
/// alias up or dh (not both the same).
template <class T, class D>
void swiglu_backward(typename D::Queue& queue, In<T, D> dh, In<T, D> gate, In<T, D> up, TensorView<T, D> dgate,
                     std::type_identity_t<TensorView<T, D>> dup) {
  check(gate.count() == dh.count() && up.count() == dh.count() && dgate.count() == dh.count() &&
            dup.count() == dh.count(),
        "swiglu_backward: all tensors must be [N, F]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(11.0 * dh.count(), dh, gate, up, dgate, dup);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::swiglu_backward<T>(dh, gate, up, dgate, dup);
  else
    cuda::swiglu_backward<T>(queue, dh, gate, up, dgate, dup);
}

}  // namespace ashlar::inline v0::ops
