// Elementwise passes on the host. Read next: ops/gradient_norm/gradient_norm.hpp.
#pragma once

#include <cstdint>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void add(TensorView<const T, Cpu> a, TensorView<const T, Cpu> b, TensorView<T, Cpu> out) {
  using A = Acc<T>;
  const index_t n = out.count();
  const T* const l = a.data();
  const T* const r = b.data();
  T* const o = out.data();
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t i = 0; i < n; ++i) o[i] = T(A(l[i]) + A(r[i]));
}

template <class From, class To>
void cast(TensorView<const From, Cpu> x, TensorView<To, Cpu> out) {
  const index_t n = out.count();
  const From* const from = x.data();
  To* const to = out.data();
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t i = 0; i < n; ++i) to[i] = static_cast<To>(from[i]);
}

template <class T>
void scale(TensorView<T, Cpu> x, double factor) {
  const index_t n = x.count();
  T* const v = x.data();
  const auto f = static_cast<Acc<T>>(factor);
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t i = 0; i < n; ++i) v[i] = T(Acc<T>(v[i]) * f);
}

template <class T>
void scale_rows(TensorView<T, Cpu> x, TensorView<const float, Cpu> weights) {
  using A = Acc<T>;
  const index_t rows = x.rows(), cols = x.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    T* const row = x.row(i);
    const A w = A(weights.data()[i]);
    for (index_t c = 0; c < cols; ++c) row[c] = w == A(0) ? T(A(0)) : T(A(row[c]) * w);
  }
}

template <class A>
void sum(TensorView<const A, Cpu> x, TensorView<double, Cpu> total) {
  const A* const v = x.data();
  total.data()[0] += chunked_sum<double>(x.count(), [=](index_t i) { return double(v[i]); });
}

template <class T>
void count_non_finite(TensorView<const T, Cpu> x, TensorView<std::int32_t, Cpu> count) {
  const index_t n = x.count();
  const T* const v = x.data();
  std::int32_t found = 0;
  ASHLAR_OMP(parallel for reduction(+ : found) if (worth_a_fork(n)))
  for (index_t i = 0; i < n; ++i) {
    const Acc<T> value = v[i];
    found += !(value - value == 0);  // infinity minus infinity is NaN
  }
  count.data()[0] += found;
}

}  // namespace ashlar::inline v0::ops::cpu
