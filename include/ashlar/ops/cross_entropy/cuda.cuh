// Cross-entropy on Cuda: a block reads a row once for its statistics, the maximum and the sum of exponentials kept
// together (Milakov and Gimelshein 2018, arXiv:1805.02867), and once for its gradient. Read next:
// ops/cross_entropy/tuning.hpp, device/cuda/pack.cuh.
#pragma once

#include <cstdint>
#include <limits>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/cross_entropy/ignore_index.hpp"
#include "ashlar/ops/cross_entropy/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// The maximum m of some logits and the sum of exp(z - m). NaN are passed over by the maximum and show in the sum.
template <class A>
struct ExponentialSum {
  static constexpr A none = -std::numeric_limits<A>::infinity();
  A maximum = none, sum = 0;

  /// What exponentials are shifted by: nothing where no logit is finite, for -inf - -inf must not become NaN.
  ASHLAR_DEVICE static A shift(A maximum) { return maximum == none ? A(0) : maximum; }

  template <class Context>
  ASHLAR_DEVICE void add(const Context& ctx, ExponentialSum other) {
    const A m = other.maximum > maximum ? other.maximum : maximum;
    sum = sum * ctx.exp(maximum - shift(m)) + other.sum * ctx.exp(other.maximum - shift(m));
    maximum = m;
  }
  /// Packs that begin `step` logits apart, of the `count` that exist from the first one's beginning on.
  template <class Context, int N, int Packs>
  ASHLAR_DEVICE void add(const Context& ctx, const Pack<A, N> (&z)[Packs], int step, int count) {
    A m = maximum;
    for (int j = 0; j < Packs; ++j)
      for (int i = 0; i < N; ++i) m = j * step + i < count && z[j].values[i] > m ? z[j].values[i] : m;
    if (m > maximum) {
      sum *= ctx.exp(maximum - m);
      maximum = m;
    }
    for (int j = 0; j < Packs; ++j)
      for (int i = 0; i < N; ++i) sum += j * step + i < count ? ctx.exp(z[j].values[i] - shift(m)) : A(0);
  }
  /// The same in every lane: both sides of an exchange add the lower lane's first.
  template <class Context>
  ASHLAR_DEVICE void over_warp(const Context& ctx) {
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) {
      const ExponentialSum other{ctx.shuffle_xor(maximum, lanes), ctx.shuffle_xor(sum, lanes)};
      const ExponentialSum own = *this;
      *this = (ctx.lane() & lanes) != 0 ? other : own;
      add(ctx, (ctx.lane() & lanes) != 0 ? own : other);
    }
  }
};

template <class A>
struct CrossEntropyStatistics {
  struct Params {
    Rows<const A> logits;
    const std::int32_t* targets;
    Rows<A> statistics;
    index_t vocab, first_id;
    bool aligned;
  };
  static constexpr int threads = cross_entropy_tuning.threads, warps = threads / warp_size;
  struct Shared {
    SharedArray<A, warps> maximum, sum;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<A>, packs = cross_entropy_tuning.packs;
    constexpr int step = threads * width;
    const A* const z = p.logits[ctx.block_x()];
    ExponentialSum<A> total;
    for (index_t c = ctx.thread() * width; c < p.vocab; c += packs * step) {
      Pack<A, width> some[packs];
#pragma unroll
      for (int j = 0; j < packs; ++j)
        some[j] = load_pack<width>(ctx, z + c + j * step, p.vocab - c - j * step, p.aligned);
      total.add(ctx, some, step, static_cast<int>(p.vocab - c));
    }
    total.over_warp(ctx);
    if (ctx.lane() == 0) {
      ctx.shared().maximum[ctx.warp()] = total.maximum;
      ctx.shared().sum[ctx.warp()] = total.sum;
    }
    ctx.sync();
    if (ctx.thread() > 0) return;
    for (int w = 1; w < warps; ++w) {
      const A maximum = ctx.shared().maximum[w], sum = ctx.shared().sum[w];
      total.add(ctx, {maximum, sum});
    }
    const std::int32_t target = ctx.load(p.targets + ctx.block_x());
    const index_t id = target - p.first_id;
    const bool here = target != ignore_index && id >= 0 && id < p.vocab;
    A* const out = p.statistics[ctx.block_x()];
    ctx.store(out, total.maximum);
    ctx.store(out + 1, total.sum);
    ctx.store(out + 2, here ? ctx.load(z + id) : A(0));
  }
};

template <class A>
struct CrossEntropyMerge {
  struct Params {
    Rows<const A> shards;  // [parts rows, 3]
    Rows<A> statistics;
    index_t parts, rows;
  };
  using Shared = NoShared;
  static constexpr int threads = cross_entropy_tuning.row_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x() * threads + ctx.thread();
    if (row >= p.rows) return;
    ExponentialSum<A> total;
    A target = 0;
    for (index_t part = 0; part < p.parts; ++part) {
      const A* const shard = p.shards[part * p.rows + row];
      total.add(ctx, {ctx.load(shard), ctx.load(shard + 1)});
      target += ctx.load(shard + 2);
    }
    A* const out = p.statistics[row];
    ctx.store(out, total.maximum);
    ctx.store(out + 1, total.sum);
    ctx.store(out + 2, target);
  }
};

template <class A>
struct CrossEntropyLoss {
  struct Params {
    Rows<const A> statistics;
    const std::int32_t* targets;
    A* loss;
    index_t rows;
  };
  using Shared = NoShared;
  static constexpr int threads = cross_entropy_tuning.row_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x() * threads + ctx.thread();
    if (row >= p.rows) return;
    const A* const s = p.statistics[row];
    // The difference of two logits first: it keeps its digits where the logits are large.
    const A loss = ctx.log(ctx.load(s + 1)) + (ctx.load(s) - ctx.load(s + 2));
    ctx.store(p.loss + row, ctx.load(p.targets + row) == ignore_index ? A(0) : loss);
  }
};

/// dlogits may take the place of logits: a thread writes what it alone has read.
template <class T>
struct CrossEntropyGradient {
  using A = Acc<T>;
  struct Params {
    Rows<const A> logits;
    const std::int32_t* targets;
    Rows<const A> statistics;
    Rows<T> dlogits;
    index_t vocab, first_id;
    A scale;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = cross_entropy_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<A, T>;
    const A* const z = p.logits[ctx.block_x()];
    T* const out = p.dlogits[ctx.block_x()];
    const A* const s = p.statistics[ctx.block_x()];
    const std::int32_t target = ctx.load(p.targets + ctx.block_x());
    const bool ignored = target == ignore_index;
    const A maximum = ctx.load(s), inverse = A(1) / ctx.load(s + 1);
    const index_t id = target - p.first_id;
    for (index_t c = ctx.thread() * width; c < p.vocab; c += threads * width) {
      Pack<T, width> gradient;
      if (ignored) {  // whatever its logits are
        for (int i = 0; i < width; ++i) gradient.values[i] = T(A(0));
      } else {
        const auto logits = load_pack<width>(ctx, z + c, p.vocab - c, p.aligned);
        for (int i = 0; i < width; ++i) {
          const A probability = ctx.exp(logits.values[i] - maximum) * inverse;
          gradient.values[i] = T((c + i == id ? probability - A(1) : probability) * p.scale);
        }
      }
      store_pack(ctx, out + c, gradient, p.vocab - c, p.aligned);
    }
  }
};

}  // namespace kernel

template <class A>
void cross_entropy_statistics(Cuda::Queue& queue, TensorView<const A, Cuda> logits,
                              TensorView<const std::int32_t, Cuda> targets, index_t first_id,
                              TensorView<A, Cuda> statistics) {
  launch<kernel::CrossEntropyStatistics<A>>(queue, {statistics.rows()},
                                            {rows_of(logits), targets.data(), rows_of(statistics), logits.cols(),
                                             first_id, packs_aligned<pack_size<A>>(logits)});
}

template <class A>
void cross_entropy_merge(Cuda::Queue& queue, TensorView<const A, Cuda> shards, TensorView<A, Cuda> statistics) {
  const index_t rows = statistics.rows();
  launch<kernel::CrossEntropyMerge<A>>(queue, {ceil_div(rows, cross_entropy_tuning.row_threads)},
                                       {rows_of(shards), rows_of(statistics), shards.dim(0), rows});
}

template <class T>
void cross_entropy_backward(Cuda::Queue& queue, TensorView<const Acc<T>, Cuda> logits,
                            TensorView<const std::int32_t, Cuda> targets, index_t first_id,
                            TensorView<const Acc<T>, Cuda> statistics, double scale, TensorView<T, Cuda> dlogits,
                            TensorView<Acc<T>, Cuda> loss) {
  using A = Acc<T>;
  const index_t rows = statistics.rows();
  launch<kernel::CrossEntropyLoss<A>>(queue, {ceil_div(rows, cross_entropy_tuning.row_threads)},
                                      {rows_of(statistics), targets.data(), loss.data(), rows});
  if (!dlogits) return;
  launch<kernel::CrossEntropyGradient<T>>(
      queue, {rows},
      {rows_of(logits), targets.data(), rows_of(statistics), rows_of(dlogits), logits.cols(), first_id, A(scale),
       packs_aligned<pack_size<A, T>>(logits, dlogits)});
}

}  // namespace ashlar::inline v0::ops::cuda
