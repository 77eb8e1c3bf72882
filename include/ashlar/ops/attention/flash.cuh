// The Hopper attention kernels behind the launchers of ops/attention/cuda.cuh: which calls they take, their maps of the
// tensors, and the launches. Read next: ops/attention/flash_forward.cuh.
#pragma once

#include <algorithm>
#include <iterator>
#include <limits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/runtime.hpp"
#include "ashlar/device/cuda/tensor_map.hpp"
#include "ashlar/ops/attention/arguments.hpp"
#include "ashlar/ops/attention/flash_delta.cuh"
#include "ashlar/ops/attention/flash_forward.cuh"
#include "ashlar/ops/attention/flash_key_gradient.cuh"
#include "ashlar/ops/attention/flash_query_gradient.cuh"

namespace ashlar::inline v0::ops::cuda {

/// The present GPU: whether it has the instructions (compute capability 9.0), and its multiprocessors.
struct FlashGpu {
  bool hopper;
  int multiprocessors;

  static FlashGpu present() {
#if ASHLAR_CUDA_EMULATED
    return {true, 3};
#else
    int gpu = 0, major = 0, minor = 0, count = 0;
    cudaGetDevice(&gpu);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, gpu);
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, gpu);
    return {major == 9 && minor == 0, count};
#endif
  }
};

/// Whether the kernels are for mask M. A local mask over documents has two tests an element, and more numbers than the
/// kernels have registers left: those spilled, and the plain kernels take its calls.
template <class M>
inline constexpr bool flash_takes = !(requires { typename M::Base; } && M::needs_documents);

/// One call's sizes, and what its launches have in common.
struct FlashCall {
  const AttentionShape& shape;
  FlashGpu gpu = FlashGpu::present();

  /// Whether the kernels take the call: bf16 on Hopper, head dimensions that a plan is for, rows aligned to 16 bytes as
  /// the copy engine wants them, and something to do.
  template <class... Views>
  bool taken(const Views&... views) const {
    const AttentionShape& s = shape;
    const index_t largest =
        std::max({s.batch * s.heads * s.query_len, s.query_begin + s.query_len, s.key_begin + s.key_capacity});
    return gpu.hopper && std::min({s.batch, s.query_len, s.key_len, s.heads}) > 0 &&
           largest < std::numeric_limits<int>::max() / 2 && s.scale > 0 && (aligned(views) && ...) &&
           with_plan([](auto) {});
  }

  /// plan(an integral constant): the number of the plan for the head dimensions. False if there is none.
  template <class Plan>
  bool with_plan(Plan plan) const {
    if (shape.head_dim == 64 && shape.value_dim == 64)
      plan(std::integral_constant<int, 0>{});
    else if (shape.head_dim == 128 && shape.value_dim == 128)
      plan(std::integral_constant<int, 1>{});
    else if (shape.head_dim == 192 && shape.value_dim == 128)
      plan(std::integral_constant<int, 2>{});
    else
      return false;
    return true;
  }

  kernel::FlashSizes sizes() const {
    const auto n = [](index_t x) { return static_cast<int>(x); };
    const AttentionShape& s = shape;
    return {n(s.batch),       n(s.query_len), n(s.key_len),
            n(s.heads),       n(s.kv_heads),  n(s.heads / s.kv_heads),
            n(s.query_begin), n(s.key_begin), static_cast<float>(s.scale)};
  }
  /// Tiles of `kept` of `rows` rows, of `heads` heads a sequence. While a head is worked on, `streamed` rows of keys
  /// (or queries) and values pass again and again, for `sharing` heads the same: as many heads at a time as the L2
  /// holds.
  kernel::FlashOrder order(index_t rows, int kept, index_t heads, index_t streamed, index_t sharing,
                           bool last_first) const {
    constexpr index_t cache = index_t{24} << 20;  // half of it
    const index_t bytes = streamed * (shape.head_dim + shape.value_dim) * static_cast<index_t>(sizeof(bf16));
    const index_t section = std::min(shape.batch * heads, std::max(index_t{1}, cache / bytes) * sharing);
    return {static_cast<int>(ceil_div(rows, index_t{kept})), static_cast<int>(shape.batch * heads),
            static_cast<int>(section), last_first};
  }
  /// Blocks that take tile after tile: as many as there is room for.
  Grid grid(const kernel::FlashOrder& order, int blocks) const {
    return {std::min(order.count(), blocks * gpu.multiprocessors)};
  }

  /// The map of rows of queries [batch query_len, heads dim], as [batch, heads, query_len, dim].
  template <class T>
  ptx::TensorMap queries(const TensorView<T, Cuda>& x, index_t dim, int box_rows) const {
    return map(x, shape.query_len, shape.query_len, shape.heads, dim, box_rows);
  }
  /// The map of rows of keys, of which key_len a sequence exist: what lies beyond reads as zero and is never written.
  template <class T>
  ptx::TensorMap keys(const TensorView<T, Cuda>& x, index_t dim, int box_rows) const {
    return map(x, shape.key_len, shape.key_capacity, shape.kv_heads, dim, box_rows);
  }

 private:
  template <class T>
  static bool aligned(const TensorView<T, Cuda>& x) {
    constexpr index_t elements = 16 / static_cast<index_t>(sizeof(bf16));
    return reinterpret_cast<std::uintptr_t>(x.data()) % 16 == 0 && x.row_stride() % elements == 0;
  }
  template <class T>
  ptx::TensorMap map(const TensorView<T, Cuda>& x, index_t rows, index_t capacity, index_t heads, index_t dim,
                     int box_rows) const {
    return tensor_map(x.data(), TensorMapShape<4>{{dim, rows, heads, shape.batch},
                                                  {x.row_stride(), dim, capacity * x.row_stride()},
                                                  {64, box_rows, 1, 1}});
  }
};

/// attention (ops/attention/attention.hpp). False, and nothing is done, if the kernels don't take the call. Merges: out
/// and lse are those over other keys, and become those over these and them.
template <class M, bool Merges = false>
bool flash_attention(Cuda::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
                     const QueryKeyValue<const bf16, Cuda>& in, const AttentionOut<bf16, Cuda>& result) {
  const TensorView<const bf16, Cuda>&query = in.query, &key = in.key, &value = in.value;
  const TensorView<bf16, Cuda>& out = result.out;
  const FlashCall call{shape};
  if (!call.taken(query, key, value, out)) return false;
  const auto run = [&]<FlashTuning Tuning>() {
    using Kernel = kernel::FlashForward<M, Tuning, Merges>;
    const auto order =
        call.order(shape.query_len, Kernel::kept, shape.heads, shape.key_len, shape.heads / shape.kv_heads, true);
    int* const ticket = static_cast<int*>(queue.workspace());
    Cuda::fill_zero(queue, ticket, sizeof(int));
    launch<Kernel>(queue, call.grid(order, Tuning.blocks),
                   {call.sizes(), mask, order, call.queries(query, shape.head_dim, Kernel::kept),
                    call.keys(key, shape.head_dim, Kernel::tile), call.keys(value, shape.value_dim, Kernel::tile),
                    call.queries(out, shape.value_dim, flash_warp_rows), rows_of(TensorView<const bf16, Cuda>(out)),
                    result.lse.data(), ticket});
  };
  return call.with_plan([&](auto plan) {
    // Of short sequences, blocks of fewer queries waste less at the diagonal.
    if (plan == 0 && shape.query_len < 2048)
      run.template operator()<flash_short_forward_tuning>();
    else
      run.template operator()<flash_forward_tunings[plan]>();
  });
}

/// attention_delta. False, and nothing is done, if the kernels don't take the call.
inline bool flash_attention_delta(Cuda::Queue& queue, const AttentionShape& shape, TensorView<const bf16, Cuda> out,
                                  TensorView<const bf16, Cuda> dout, TensorView<float, Cuda> delta) {
  const FlashCall call{shape};
  if (!call.taken(out, dout)) return false;
  return call.with_plan([&](auto plan) {
    using Delta = kernel::FlashDelta<flash_key_gradient_tunings[plan].value_dim>;
    const index_t rows = shape.batch * shape.query_len * shape.heads;
    launch<Delta>(queue, {ceil_div(rows, index_t{Delta::rows_per_block})},
                  {rows_of(out), rows_of(dout), delta.data(), static_cast<int>(shape.query_len),
                   static_cast<int>(shape.heads), rows});
  });
}

/// attention_backward. False, and nothing is done, if the kernels don't take the call.
template <class M>
bool flash_attention_backward(Cuda::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
                              const QueryKeyValue<const bf16, Cuda>& in, TensorView<const float, Cuda> lse,
                              TensorView<const float, Cuda> delta, TensorView<const bf16, Cuda> dout,
                              const QueryKeyValue<bf16, Cuda>& gradients, bool accumulate,
                              TensorView<float, Cuda> query_sums) {
  const TensorView<const bf16, Cuda>&query = in.query, &key = in.key, &value = in.value;
  const TensorView<bf16, Cuda>&dquery = gradients.query, &dkey = gradients.key, &dvalue = gradients.value;
  const FlashCall call{shape};
  if (!call.taken(query, key, value, dout, dquery, dkey, dvalue)) return false;
  int* const tickets = static_cast<int*>(queue.workspace());
  Cuda::fill_zero(queue, tickets, 2 * sizeof(int));
  const auto key_gradient = [&]<FlashTuning Tuning, bool Adds>() {
    using Key = kernel::FlashKeyGradient<M, Tuning, Adds>;
    // With sums, the L2 has to hold those of a group's heads too: with heads of 64 that is worth fewer at a time.
    const index_t shares = Adds && Tuning.head_dim == 64 ? 2 * shape.heads / shape.kv_heads : 1;
    const auto order = call.order(shape.key_len, Key::kept, shape.kv_heads, shape.query_len * shares, 1, false);
    launch<Key>(queue, call.grid(order, Tuning.blocks),
                {call.sizes(), mask, order, call.queries(query, shape.head_dim, Key::tile),
                 call.keys(key, shape.head_dim, Key::kept), call.keys(value, shape.value_dim, Key::kept),
                 call.queries(dout, shape.value_dim, Key::tile), call.keys(dkey, shape.head_dim, flash_rows),
                 call.keys(dvalue, shape.value_dim, flash_rows), lse.data(), delta.data(), tickets, accumulate,
                 query_sums.data()});
  };
  return call.with_plan([&](auto plan) {
    if constexpr (plan < std::size(flash_adding_tunings))
      if (query_sums && query_sums.count() > 0) {
        constexpr FlashTuning tuning = flash_adding_tunings[plan];
        Cuda::fill_zero(queue, query_sums.data(), static_cast<std::size_t>(query_sums.count()) * sizeof(float));
        key_gradient.template operator()<tuning, true>();
        const index_t tiles = ceil_div(shape.query_len, index_t{tuning.tile});
        launch<kernel::FlashQueryFinish<tuning>>(
            queue, {tiles * tuning.warpgroups, shape.heads, shape.batch},
            {query_sums.data(), rows_of(dquery), static_cast<int>(shape.query_len), static_cast<int>(shape.heads),
             static_cast<int>(tiles), static_cast<float>(shape.scale), accumulate});
        return;
      }
    key_gradient.template operator()<flash_key_gradient_tunings[plan], false>();

    constexpr FlashTuning queries = flash_query_gradient_tunings[plan];
    using Query = kernel::FlashQueryGradient<M, queries>;
    const auto query_order =
        call.order(shape.query_len, Query::kept, shape.heads, shape.key_len, shape.heads / shape.kv_heads, true);
    launch<Query>(queue, call.grid(query_order, queries.blocks),
                  {call.sizes(), mask, query_order, call.queries(query, shape.head_dim, Query::kept),
                   call.keys(key, shape.head_dim, Query::tile), call.keys(value, shape.value_dim, Query::tile),
                   call.queries(dout, shape.value_dim, Query::kept), call.queries(dquery, shape.head_dim, flash_rows),
                   lse.data(), delta.data(), tickets + 1, accumulate});
  });
}

}  // namespace ashlar::inline v0::ops::cuda
