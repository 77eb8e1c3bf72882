// Streams: what flows through blocks. A struct of tensors [rows, width] in the compute type, one or several; what
// crosses from one pipeline stage to the next, and its gradient, are the same struct. Read next: models/stack.hpp.
#pragma once

#include "ashlar/core/environment.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// The residual stream of a decoder.
template <class E>
struct Residual {
  typename E::View x;  // [N / tp, dim]

  /// f(the tensor of each stream...), in an order that all ranks share: the one visitor of copies, sends and sizes.
  template <class F, class... Streams>
  static void for_each_tensor(F&& f, Streams&... streams) {
    f(streams.x...);
  }
};

/// A stream of the shapes of `x`, each tensor made by allocate(shape).
template <class Stream, class F>
Stream like(const Stream& x, F&& allocate) {
  Stream out;
  Stream::for_each_tensor([&](const auto& from, auto& to) { to = allocate(from.shape()); }, x, out);
  return out;
}

/// `from` into `to`, tensor by tensor, all of equal shapes and contiguous.
template <class Stream, class Queue>
void copy(Queue& queue, const Stream& from, Stream& to) {
  Stream::for_each_tensor(
      [&]<class T, class D>(const TensorView<T, D>& source, TensorView<T, D>& target) {
        D::copy(queue, target.data(), source.data(), static_cast<std::size_t>(source.count()) * sizeof(T));
      },
      from, to);
}

}  // namespace ashlar::inline v0
