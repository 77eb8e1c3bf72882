// The balance loss on Cuda: a thread counts a choice; a warp has a row of the gradient. Contract:
// ops/balance_loss/balance_loss.hpp.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/balance_loss/balance_loss.hpp"
#include "ashlar/ops/balance_loss/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class Index>
struct CountChoices {
  struct Params {
    const Index* experts;
    Index* counts;
    index_t slots, top_k, first_row, group_rows, n;
  };
  using Shared = NoShared;
  static constexpr int threads = balance_loss_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t slot = ctx.block_x() * threads + ctx.thread();
    if (slot >= p.slots) return;
    const index_t group = (p.first_row + slot / p.top_k) / p.group_rows;
    ctx.atomic_add(p.counts + group * p.n + ctx.load(p.experts + slot), Index{1});
  }
};

template <class A>
struct BalanceLossBackward {
  struct Params {
    Rows<const A> probabilities;
    const std::int32_t* counts;
    Rows<A> dlogits;
    index_t rows, first_row, group_rows, n;
    A factor;
    bool softmax;
  };
  using Shared = NoShared;
  static constexpr int threads = balance_loss_tuning.threads, warps = threads / warp_size;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x() * warps + ctx.warp();
    if (row >= p.rows) return;
    const A* const probability = p.probabilities[row];
    const std::int32_t* const count = p.counts + (p.first_row + row) / p.group_rows * p.n;
    A* const dlogit = p.dlogits[row];
    A sum = 0, mean = 0;
    for (index_t e = ctx.lane(); e < p.n; e += warp_size) {
      const A q = ctx.load(probability + e);
      sum += q;
      mean += A(ctx.load(count + e)) * q;
    }
    sum = p.softmax ? A(1) : warp_sum(ctx, sum) + A(1e-20);
    mean = warp_sum(ctx, mean) / sum;
    for (index_t e = ctx.lane(); e < p.n; e += warp_size) {
      const A q = ctx.load(probability + e);
      const A dq = p.factor * (A(ctx.load(count + e)) - mean) / sum * q * (p.softmax ? A(1) : A(1) - q);
      ctx.store(dlogit + e, ctx.load(dlogit + e) + dq);
    }
  }
};

}  // namespace kernel

template <class Index>
void count_choices(Cuda::Queue& queue, TensorView<const Index, Cuda> experts, index_t first_row, index_t group_rows,
                   TensorView<Index, Cuda> counts) {
  using Kernel = kernel::CountChoices<Index>;
  launch<Kernel>(
      queue, {ceil_div(experts.count(), index_t{Kernel::threads})},
      {experts.data(), counts.data(), experts.count(), experts.cols(), first_row, group_rows, counts.cols()});
}

template <class A>
void balance_loss_backward(Cuda::Queue& queue, TensorView<const A, Cuda> probabilities,
                           TensorView<const std::int32_t, Cuda> counts, const BalanceLoss& loss,
                           TensorView<A, Cuda> dlogits) {
  using Kernel = kernel::BalanceLossBackward<A>;
  launch<Kernel>(queue, {ceil_div(dlogits.rows(), index_t{Kernel::warps})},
                 {rows_of(probabilities), counts.data(), rows_of(dlogits), dlogits.rows(), loss.first_row,
                  loss.group_rows, dlogits.cols(), A(loss.factor), loss.softmax});
}

}  // namespace ashlar::inline v0::ops::cuda
