// Token permutation: rows sorted by expert, moved there and back, weighted. Read next: ops/permutation/cpu.hpp.
#pragma once

#include <type_traits>

#include <cstdint>
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/counting_sort_tuning.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/permutation/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class Index>  // std::int32_t; a template, like all that instance files of Cuda list
void sort_by_expert(Cuda::Queue&, TensorView<const Index, Cuda> experts, TensorView<Index, Cuda> position,
                    TensorView<Index, Cuda> source, TensorView<Index, Cuda> offsets, TensorView<Index, Cuda> workspace);
template <class Index>
void sort_received(Cuda::Queue&, TensorView<const Index, Cuda> counts, TensorView<Index, Cuda> position,
                   TensorView<Index, Cuda> source, TensorView<Index, Cuda> offsets);
template <class T>
void permute(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const std::int32_t, Cuda> source, index_t top_k,
             TensorView<T, Cuda> out, TensorView<const std::int32_t, Cuda> position);
template <class T>
void permute_backward(Cuda::Queue&, TensorView<const T, Cuda> dout, TensorView<const std::int32_t, Cuda> position,
                      index_t top_k, TensorView<T, Cuda> dx, bool accumulate);
template <class T>
void unpermute(Cuda::Queue&, TensorView<const T, Cuda> in, TensorView<const std::int32_t, Cuda> position,
               TensorView<const Acc<T>, Cuda> weights, TensorView<T, Cuda> out, bool accumulate);
template <class T>
void unpermute_backward(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> in,
                        TensorView<const std::int32_t, Cuda> position, TensorView<const Acc<T>, Cuda> weights,
                        TensorView<T, Cuda> din, TensorView<Acc<T>, Cuda> dweights);
}  // namespace cuda

/// How many elements `workspace` of sort_by_expert needs on D for N k slots and E experts. Zero where the device needs
/// none.
template <class D>
index_t sort_by_expert_workspace(index_t slots, index_t experts) {
  return std::is_same_v<D, Cuda> ? counting_sort_workspace(slots, experts) : 0;
}

/// A stable counting sort of the slots by expert: experts [N, k] holds ids in [0, E); slot i = token * k + choice.
/// position [N k] = the row where slot i goes, source [N k] = the slot of each row, offsets [E + 1] = where each
/// expert's rows begin. An id outside [0, E) takes no row: its position is -1, and the last rows' source is -1.
template <class D>
void sort_by_expert(typename D::Queue& queue, In<std::int32_t, D> experts, TensorView<std::int32_t, D> position,
                    TensorView<std::int32_t, D> source, TensorView<std::int32_t, D> offsets,
                    std::type_identity_t<TensorView<std::int32_t, D>> workspace) {
  check(position.count() == experts.count() && source.count() == experts.count() && offsets.count() > 0,
        "sort_by_expert: experts [N, k], position and source [N k], offsets [E + 1]");
  const index_t needed = sort_by_expert_workspace<D>(experts.count(), offsets.count() - 1);
  check(needed == 0 || workspace.count() >= needed,
        "sort_by_expert: the workspace must have sort_by_expert_workspace(N k, E) elements");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, experts, position, source, offsets);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::sort_by_expert(experts, position, source, offsets);
  else
    cuda::sort_by_expert<std::int32_t>(queue, experts, position, source, offsets, workspace);
}

/// The same for rows received from P peers: counts [P, E] rows came from each peer for each local expert, packed peer
/// by peer, expert by expert. Row i of the received buffer goes to row position[i]; source is the inverse; offsets [E +
/// 1]. position and source may be longer than the sum of counts: both are -1 past it. They must not be shorter (on Cpu
/// that throws Error).
template <class D>
void sort_received(typename D::Queue& queue, In<std::int32_t, D> counts, TensorView<std::int32_t, D> position,
                   TensorView<std::int32_t, D> source, TensorView<std::int32_t, D> offsets) {
  check(position.count() == source.count() && offsets.count() == counts.cols() + 1,
        "sort_received: counts [P, E], position and source [rows], offsets [E + 1]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, counts, position, source, offsets);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::sort_received(counts, position, source, offsets);
  else
    cuda::sort_received<std::int32_t>(queue, counts, position, source, offsets);
}

/// out [R, C] : row r = x[source[r] / top_k], zero where source is -1. `position`, the inverse of source, for who has
/// it: where every slot has a row (R = N top_k), a token's row is then read once for all of its choices.
template <class T, class D>
void permute(typename D::Queue& queue, In<T, D> x, In<std::int32_t, D> source, index_t top_k, TensorView<T, D> out,
             In<std::int32_t, D> position = {}) {
  check(source.count() == out.rows() && x.cols() == out.cols(), "permute: x [N, C], source [R], out [R, C]");
  check(!position || (position.count() == x.rows() * top_k && position.count() == source.count()),
        "permute: position [N top_k], where it is given, is the inverse of as long a source");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, x, source, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::permute<T>(x, source, top_k, out);
  else
    cuda::permute<T>(queue, x, source, top_k, out, position);
}

/// dx [N, C] (+)= sum over the token's choices j of dout[position[n top_k + j]], in order of j, in Acc<T>; -1 is
/// skipped.
template <class T, class D>
void permute_backward(typename D::Queue& queue, In<T, D> dout, In<std::int32_t, D> position, index_t top_k,
                      TensorView<T, D> dx, bool accumulate) {
  check(position.count() == dx.rows() * top_k && dout.cols() == dx.cols(),
        "permute_backward: dout [R, C], position [N top_k], dx [N, C]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(1.0 * dout.count(), dout, position, dx, accumulate ? dx : TensorView<T, D>());
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::permute_backward<T>(dout, position, top_k, dx, accumulate);
  else
    cuda::permute_backward<T>(queue, dout, position, top_k, dx, accumulate);
}

/// out [N, C] (+)= sum over choices j of weights[n, j] in[position[n k + j]], in order of j, in Acc<T>; -1 is skipped.
template <class T, class D>
void unpermute(typename D::Queue& queue, In<T, D> in, In<std::int32_t, D> position, In<Acc<T>, D> weights,
               TensorView<T, D> out, bool accumulate) {
  check(position.count() == weights.count() && weights.rows() == out.rows() && in.cols() == out.cols(),
        "unpermute: in [R, C], position [N k], weights [N, k], out [N, C]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * in.count(), in, position, weights, out, accumulate ? out : TensorView<T, D>());
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::unpermute<T>(in, position, weights, out, accumulate);
  else
    cuda::unpermute<T>(queue, in, position, weights, out, accumulate);
}

/// din[position[n k + j]] = weights[n, j] dy[n] and dweights[n, j] = <dy[n], in[position[n k + j]]>, in Acc<T>. Rows of
/// din that no slot owns are not written; dweights of a skipped slot is 0. din may alias in. Where in and dweights are
/// empty, din alone is written: rows times weights.
template <class T, class D>
void unpermute_backward(typename D::Queue& queue, In<T, D> dy, In<T, D> in, In<std::int32_t, D> position,
                        In<Acc<T>, D> weights, TensorView<T, D> din,
                        std::type_identity_t<TensorView<Acc<T>, D>> dweights) {
  check(position.count() == weights.count() && dy.cols() == din.cols() &&
            (in ? dy.cols() == in.cols() && dweights.count() == weights.count() : !dweights),
        "unpermute_backward: dy [N, C], in and din [R, C], position [N k], weights and dweights [N, k]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count((in ? 3.0 : 1.0) * din.count(), dy, in, position, weights, din, dweights);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::unpermute_backward<T>(dy, in, position, weights, din, dweights);
  else
    cuda::unpermute_backward<T>(queue, dy, in, position, weights, din, dweights);
}

}  // namespace ashlar::inline v0::ops
