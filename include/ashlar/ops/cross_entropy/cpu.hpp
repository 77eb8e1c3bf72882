// Cross-entropy on the host: rows in parallel, each read twice (maximum, then exponentials). Read next:
// nn/output_loss.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/math.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/cross_entropy/ignore_index.hpp"

namespace ashlar::inline v0::ops::cpu {

/// The largest of n values, -inf for none. NaN are passed over: they show in the sum of exponentials.
template <class A>
A row_maximum(const A* z, index_t n) {
  constexpr int lanes = 16;
  A lane[lanes];
  std::fill_n(lane, lanes, -std::numeric_limits<A>::infinity());
  index_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int j = 0; j < lanes; ++j) lane[j] = z[i + j] > lane[j] ? z[i + j] : lane[j];
  for (int j = 0; i < n; ++i, ++j) lane[j] = std::max(lane[j], z[i]);
  return *std::max_element(lane, lane + lanes);
}

template <class A>
void cross_entropy_statistics(TensorView<const A, Cpu> logits, TensorView<const std::int32_t, Cpu> targets,
                              index_t first_id, TensorView<A, Cpu> statistics) {
  const index_t rows = statistics.rows(), vocab = logits.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(logits.count())))
  for (index_t i = 0; i < rows; ++i) {
    const A* const z = logits.row(i);
    const A m = row_maximum(z, vocab);
    // A row of -inf alone has m = -inf and no exponentials; -inf - -inf must not make it NaN.
    const A shift = m == -std::numeric_limits<A>::infinity() ? A(0) : m;
    const index_t id = targets.data()[i] - first_id;
    A* const out = statistics.row(i);
    out[0] = m;
    out[1] = lane_sum<A>(vocab, [=](index_t v) { return fast_exp(z[v] - shift); });
    out[2] = targets.data()[i] != ignore_index && id >= 0 && id < vocab ? z[id] : A(0);
  }
}

template <class A>
void cross_entropy_merge(TensorView<const A, Cpu> shards, TensorView<A, Cpu> statistics) {
  const index_t rows = statistics.rows(), parts = shards.dim(0);
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * parts)))
  for (index_t i = 0; i < rows; ++i) {
    A m = -std::numeric_limits<A>::infinity(), sum = 0, target = 0;
    for (index_t p = 0; p < parts; ++p) m = std::max(m, shards.row(p * rows + i)[0]);
    for (index_t p = 0; p < parts; ++p) {
      const A* const part = shards.row(p * rows + i);
      // A shard without a finite logit has nothing to scale; part[1] is 0, or NaN and must stay so.
      sum += part[0] == -std::numeric_limits<A>::infinity() ? part[1] : part[1] * fast_exp(part[0] - m);
      target += part[2];
    }
    A* const out = statistics.row(i);
    out[0] = m;
    out[1] = sum;
    out[2] = target;
  }
}

template <class T>
void cross_entropy_backward(TensorView<const Acc<T>, Cpu> logits, TensorView<const std::int32_t, Cpu> targets,
                            index_t first_id, TensorView<const Acc<T>, Cpu> statistics, double scale,
                            TensorView<T, Cpu> dlogits, TensorView<Acc<T>, Cpu> loss) {
  using A = Acc<T>;
  const index_t rows = statistics.rows(), vocab = logits.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(logits.count())))
  for (index_t i = 0; i < rows; ++i) {
    const std::int32_t target = targets.data()[i];
    const A* const s = statistics.row(i);
    // The difference of two logits first: it keeps its digits where the logits are large.
    loss.data()[i] = target == ignore_index ? A(0) : std::log(s[1]) + (s[0] - s[2]);
    if (!dlogits) continue;
    T* const out = dlogits.row(i);
    if (target == ignore_index) {
      std::fill_n(out, vocab, T(0.0f));
      continue;
    }
    const A* const z = logits.row(i);
    const A m = s[0], factor = static_cast<A>(scale) / s[1];
    const index_t id = target - first_id;
    const bool here = id >= 0 && id < vocab;
    const A at_target = here ? (fast_exp(z[id] - m) / s[1] - A(1)) * static_cast<A>(scale) : A(0);
    ASHLAR_SIMD
    for (index_t v = 0; v < vocab; ++v) out[v] = T(fast_exp(z[v] - m) * factor);
    if (here) out[id] = T(at_target);
  }
}

}  // namespace ashlar::inline v0::ops::cpu
