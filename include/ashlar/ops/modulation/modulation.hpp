// Modulation of rows by their sequence's condition (Perez et al. 2018, arXiv:1709.07871; Peebles and Xie 2023,
// arXiv:2212.09748): a layer norm whose scale and shift, and a residual branch whose gate, are a vector a sequence.
// Read next: ops/modulation/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/modulation/cpu.hpp"
#include "ashlar/ops/modulation/shape.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void modulate(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const T, Cuda> shift,
              TensorView<const T, Cuda> scale, SequenceRows of, double eps, TensorView<T, Cuda> y,
              TensorView<Acc<T>, Cuda> statistics);
template <class T>
void modulate_backward(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                       TensorView<const T, Cuda> scale, TensorView<const Acc<T>, Cuda> statistics, SequenceRows of,
                       TensorView<T, Cuda> dx, TensorView<T, Cuda> dshift, TensorView<T, Cuda> dscale);
template <class T>
void add_gated(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const T, Cuda> f, TensorView<const T, Cuda> gate,
               SequenceRows of, TensorView<T, Cuda> out);
template <class T>
void add_gated_backward(Cuda::Queue&, TensorView<const T, Cuda> dout, TensorView<const T, Cuda> f,
                        TensorView<const T, Cuda> gate, SequenceRows of, TensorView<T, Cuda> df,
                        TensorView<T, Cuda> dgate);
}  // namespace cuda

namespace detail {
// Rows [N, F] of sequences that have a row each of `vectors` [B, F].
template <class X, class V>
void check_modulated(const X& x, const V& vectors, const SequenceRows& of) {
  check(x.cols() == vectors.cols() && of.len > 0 && of.first >= 0 &&
            (x.rows() == 0 || of.sequence(x.rows() - 1) < vectors.rows()),
        "modulation: rows must be [N, F], the condition's vectors [B, F], and N rows must lie in B sequences");
}
}  // namespace detail

/// y [N, F] = norm(x) (1 + scale[b]) + shift[b] for rows of sequence b; norm(x) = (x - mean) rstd, rstd = (variance +
/// eps)^(-1/2) over a row (layer norm, Ba et al. 2016, arXiv:1607.06450, without weights). shift, scale: [B, F].
/// statistics [N, 2]: (mean, rstd). In Acc<T>, rounded once. y may be x.
template <class T, class D>
void modulate(typename D::Queue& queue, In<T, D> x, In<T, D> shift, In<T, D> scale, const SequenceRows& of, double eps,
              TensorView<T, D> y, std::type_identity_t<TensorView<Acc<T>, D>> statistics) {
  detail::check_modulated(x, scale, of);
  check(shift.shape() == scale.shape() && y.shape() == x.shape() && statistics.count() == 2 * x.rows(),
        "modulate: shift is like scale, y like x, statistics [N, 2]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(8.0 * x.count(), x, shift, scale, y, statistics);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::modulate<T>(x, shift, scale, of, eps, y, statistics);
  else
    cuda::modulate<T>(queue, x, shift, scale, of, eps, y, statistics);
}

/// Adds the gradient of x to dx [N, F], and to dshift and dscale [B, F] the sums over this part's rows of each
/// sequence, row after row. dx does not overlap dy or x.
template <class T, class D>
void modulate_backward(typename D::Queue& queue, In<T, D> dy, In<T, D> x, In<T, D> scale, In<Acc<T>, D> statistics,
                       const SequenceRows& of, TensorView<T, D> dx, std::type_identity_t<TensorView<T, D>> dshift,
                       std::type_identity_t<TensorView<T, D>> dscale) {
  detail::check_modulated(x, scale, of);
  check(dy.shape() == x.shape() && dx.shape() == x.shape() && statistics.count() == 2 * x.rows() &&
            dshift.shape() == scale.shape() && dscale.shape() == scale.shape(),
        "modulate_backward: dy and dx are like x, dshift and dscale like scale, statistics [N, 2]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(19.0 * x.count(), dy, x, scale, statistics, dx, dx, dshift, dshift, dscale, dscale);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::modulate_backward<T>(dy, x, scale, statistics, of, dx, dshift, dscale);
  else
    cuda::modulate_backward<T>(queue, dy, x, scale, statistics, of, dx, dshift, dscale);
}

/// out [N, F] = x + gate[b] f for rows of sequence b; gate: [B, F]. In Acc<T>, rounded once. out may be x or f.
template <class T, class D>
void add_gated(typename D::Queue& queue, In<T, D> x, In<T, D> f, In<T, D> gate, const SequenceRows& of,
               TensorView<T, D> out) {
  detail::check_modulated(x, gate, of);
  check(f.shape() == x.shape() && out.shape() == x.shape(), "add_gated: f and out are like x");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * x.count(), x, f, gate, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::add_gated<T>(x, f, gate, of, out);
  else
    cuda::add_gated<T>(queue, x, f, gate, of, out);
}

/// df [N, F] = gate[b] dout; adds to dgate [B, F] the sums of dout f over this part's rows of each sequence, row after
/// row. The gradient of x is dout. df does not overlap dout or f.
template <class T, class D>
void add_gated_backward(typename D::Queue& queue, In<T, D> dout, In<T, D> f, In<T, D> gate, const SequenceRows& of,
                        TensorView<T, D> df, std::type_identity_t<TensorView<T, D>> dgate) {
  detail::check_modulated(f, gate, of);
  check(dout.shape() == f.shape() && df.shape() == f.shape() && dgate.shape() == gate.shape(),
        "add_gated_backward: dout and df are like f, dgate like gate");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(3.0 * f.count(), dout, f, gate, df, dgate, dgate);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::add_gated_backward<T>(dout, f, gate, of, df, dgate);
  else
    cuda::add_gated_backward<T>(queue, dout, f, gate, of, df, dgate);
}

}  // namespace ashlar::inline v0::ops
