// Initial values of a parameter, drawn where they are kept. Read next: core/initializer.hpp,
// ops/initial_values/cuda.cuh.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/initializer.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class U>
void draw(Cuda::Queue&, const InitialValues& values, index_t begin, TensorView<U, Cuda> out);
}  // namespace cuda

/// out[i] = the element `begin` + i of the parameter, drawn in Acc<U>. `out` is contiguous. On Cuda within a few units
/// of the last place of what it is on Cpu: the compiler may fuse other multiplications and additions.
template <class U, class D>
void draw(typename D::Queue& queue, const InitialValues& values, index_t begin, TensorView<U, D> out) {
  if constexpr (std::is_same_v<D, Cuda>) {
    cuda::draw<U>(queue, values, begin, out);
  } else if constexpr (std::is_same_v<U, Acc<U>>) {
    values.fill(begin, out.count(), out.data());
  } else {
    std::vector<Acc<U>> drawn(static_cast<std::size_t>(out.count()));
    values.fill(begin, out.count(), drawn.data());
    std::copy(drawn.begin(), drawn.end(), out.data());
  }
}

}  // namespace ashlar::inline v0::ops
