// delta [batch, heads, query_len] = the products of rows of out and dout, which the gradients of scores need: bf16
// rows, 16 bytes a thread. Read next: ops/attention/flash_key_gradient.cuh.
#pragma once

#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0::ops::cuda::kernel {

template <int Dim>
struct FlashDelta {
  struct Params {
    Rows<const bf16> out, dout;
    float* delta;
    int query_len, heads;
    index_t rows;  // batch x query_len x heads, in the order of memory
  };
  using Shared = NoShared;
  static constexpr int threads = 256, lanes = Dim / 8, rows_per_block = threads / lanes;
  static_assert(warp_size % lanes == 0);

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t i = ctx.block_x() * rows_per_block + ctx.thread() / lanes;
    const bool exists = i < p.rows;
    const index_t token = exists ? i / p.heads : 0, head = exists ? i % p.heads : 0;
    const index_t column = head * Dim + ctx.thread() % lanes * 8;
    const auto out = ctx.load(reinterpret_cast<const Pack<bf16, 8>*>(p.out[token] + column));
    const auto dout = ctx.load(reinterpret_cast<const Pack<bf16, 8>*>(p.dout[token] + column));
    float sum = 0;
    for (int j = 0; j < 8; ++j) sum += float(out.values[j]) * float(dout.values[j]);
    for (int n = lanes / 2; n > 0; n /= 2) sum += ctx.shuffle_xor(sum, n);
    if (exists && ctx.thread() % lanes == 0)
      ctx.store(p.delta + (token / p.query_len * p.heads + head) * p.query_len + token % p.query_len, sum);
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
