// Token permutation on the host: counting sorts, row copies and ordered sums of rows. Read next:
// moe/token_dispatchers/.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

namespace detail {

/// Turns counts of expert e, stored at offsets[e], into where its rows begin; offsets[E] is the total.
inline void exclusive_scan(TensorView<std::int32_t, Cpu> offsets) {
  std::int32_t begin = 0;
  for (index_t e = 0; e < offsets.count(); ++e) begin += std::exchange(offsets.data()[e], begin);
}

/// Undoes what using offsets as cursors did: each was left at the end of its expert, where the next one begins.
inline void rewind(TensorView<std::int32_t, Cpu> offsets) {
  std::int32_t* const o = offsets.data();
  for (index_t e = offsets.count() - 1; e > 0; --e) o[e] = o[e - 1];
  o[0] = 0;
}

/// out [N, C] (+)= sum over j < k of weight(n, j) in[position[n k + j]], in order of j, in Acc<T>; -1 is skipped.
template <class T, class Weight>
void gather_sum(TensorView<const T, Cpu> in, const std::int32_t* position, index_t k, Weight weight,
                TensorView<T, Cpu> out, bool accumulate) {
  using A = Acc<T>;
  const index_t rows = out.rows(), cols = out.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols * k)))
  for (index_t i = 0; i < rows; ++i) {
    constexpr index_t slab = 256;  // sums of so many columns stay in the first-level cache
    for (index_t begin = 0; begin < cols; begin += slab) {
      const index_t width = std::min(slab, cols - begin);
      A sum[slab] = {};
      for (index_t j = 0; j < k; ++j) {
        const std::int32_t from = position[i * k + j];
        if (from < 0) continue;
        const T* const row = in.row(from) + begin;
        const A w = weight(i, j);
        ASHLAR_SIMD
        for (index_t c = 0; c < width; ++c) sum[c] += w * A(row[c]);
      }
      T* const to = out.row(i) + begin;
      if (accumulate) {
        ASHLAR_SIMD
        for (index_t c = 0; c < width; ++c) to[c] = T(A(to[c]) + sum[c]);
      } else {
        ASHLAR_SIMD
        for (index_t c = 0; c < width; ++c) to[c] = T(sum[c]);
      }
    }
  }
}

}  // namespace detail

void sort_by_expert(TensorView<const std::int32_t, Cpu> experts, TensorView<std::int32_t, Cpu> position,
                    TensorView<std::int32_t, Cpu> source, TensorView<std::int32_t, Cpu> offsets);

void sort_received(TensorView<const std::int32_t, Cpu> counts, TensorView<std::int32_t, Cpu> position,
                   TensorView<std::int32_t, Cpu> source, TensorView<std::int32_t, Cpu> offsets);

template <class T>
void permute(TensorView<const T, Cpu> x, TensorView<const std::int32_t, Cpu> source, index_t top_k,
             TensorView<T, Cpu> out) {
  const index_t rows = out.rows(), cols = out.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t r = 0; r < rows; ++r) {
    const std::int32_t slot = source.data()[r];
    if (slot >= 0)
      std::copy_n(x.row(slot / top_k), cols, out.row(r));
    else
      std::fill_n(out.row(r), cols, T(0.0f));
  }
}

template <class T>
void permute_backward(TensorView<const T, Cpu> dout, TensorView<const std::int32_t, Cpu> position, index_t top_k,
                      TensorView<T, Cpu> dx, bool accumulate) {
  detail::gather_sum<T>(
      dout, position.data(), top_k, [](index_t, index_t) { return Acc<T>(1); }, dx, accumulate);
}

template <class T>
void unpermute(TensorView<const T, Cpu> in, TensorView<const std::int32_t, Cpu> position,
               TensorView<const Acc<T>, Cpu> weights, TensorView<T, Cpu> out, bool accumulate) {
  const auto weight = [=](index_t n, index_t j) { return weights.row(n)[j]; };
  detail::gather_sum<T>(in, position.data(), weights.cols(), weight, out, accumulate);
}

template <class T>
void unpermute_backward(TensorView<const T, Cpu> dy, TensorView<const T, Cpu> in,
                        TensorView<const std::int32_t, Cpu> position, TensorView<const Acc<T>, Cpu> weights,
                        TensorView<T, Cpu> din, TensorView<Acc<T>, Cpu> dweights) {
  using A = Acc<T>;
  const index_t rows = weights.rows(), k = weights.cols(), cols = dy.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols * k)))
  for (index_t i = 0; i < rows; ++i) {
    const T* const d = dy.row(i);
    for (index_t j = 0; j < k; ++j) {
      const std::int32_t at = position.data()[i * k + j];
      // The row is read before it is written: din may be in.
      if (dweights) {
        const T* const row = at < 0 ? d : in.row(at);
        dweights.row(i)[j] = at < 0 ? A(0) : lane_sum<A>(cols, [=](index_t c) { return A(d[c]) * A(row[c]); });
      }
      if (at < 0) continue;
      T* const out = din.row(at);
      const A w = weights.row(i)[j];
      ASHLAR_SIMD
      for (index_t c = 0; c < cols; ++c) out[c] = T(w * A(d[c]));
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu

#if !ASHLAR_COMPILED
#include "ashlar/ops/permutation/cpu.ipp"
#endif
