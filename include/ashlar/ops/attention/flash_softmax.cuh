// Softmax as keys stream past (Milakov and Gimelshein 2018, arXiv:1805.02867), on the registers of wgmma results, in
// base 2: exp(scale s) is exp2(scale log2(e) s), one multiplication and one instruction. Read next:
// ops/attention/flash_forward.cuh.
#pragma once

#include <cmath>
#include <limits>

#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0::ops::cuda::kernel {

inline constexpr float log2_of_e = 1.4426950408889634f, log_of_2 = 0.6931471805599453f;

/// The two rows of a thread. Maxima are those of whole rows; sums are of the thread's own columns until total().
struct OnlineSoftmax {
  static constexpr float none = -std::numeric_limits<float>::infinity();
  float maximum[2]{none, none}, sum[2]{0, 0};
  float factor[2]{1, 1};  // what is left of earlier sums and of out, after the last update

  /// scores become exp(scale (score - maximum)). scale2 = scale log2(e) > 0.
  template <class Context, int N>
  ASHLAR_DEVICE void update(const Context& ctx, float (&scores)[N], float scale2) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = maximum[r];
#pragma unroll
      for (int i = 2 * r; i < N; i += 4) largest = fmaxf(largest, fmaxf(scores[i], scores[i + 1]));
      largest = fmaxf(largest, ctx.shuffle_xor(largest, 1));
      largest = fmaxf(largest, ctx.shuffle_xor(largest, 2));
      // A row that has seen no key yet is shifted by 0, so that its exponentials are 0 and not NaN.
      const float shift = largest == none ? 0 : largest * scale2;
      factor[r] = ctx.exp2(maximum[r] * scale2 - shift);
      maximum[r] = largest;
      float part = 0;
#pragma unroll
      for (int i = 2 * r; i < N; i += 4) {
        scores[i] = ctx.exp2(scores[i] * scale2 - shift);
        scores[i + 1] = ctx.exp2(scores[i + 1] * scale2 - shift);
        part += scores[i] + scores[i + 1];
      }
      sum[r] = sum[r] * factor[r] + part;
    }
  }

  /// out [64, N], made with the maxima of before the last update, goes over to those of after it.
  template <int N>
  ASHLAR_DEVICE void rescale(float (&out)[N]) const {
#pragma unroll
    for (int i = 0; i < N; ++i) out[i] *= factor[i / 2 % 2];
  }

  /// The sums of whole rows, from those of the four threads of each.
  template <class Context>
  ASHLAR_DEVICE void total(const Context& ctx) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[r] += ctx.shuffle_xor(sum[r], 1);
      sum[r] += ctx.shuffle_xor(sum[r], 2);
    }
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
