// The experts: a SwiGLU each, computed together by one grouped GEMM a projection. Read next:
// ops/grouped_gemm/grouped_gemm.hpp.
#pragma once

#include "ashlar/moe/experts.hpp"
#include "ashlar/ops/grouped_gemm/grouped_gemm.hpp"
#include "ashlar/ops/swiglu/swiglu.hpp"

namespace ashlar::inline v0 {

struct Picked {};  // what suits the GPU, the type and the shape; blocked products on Cpu
struct Plain {};   // shared-memory tiles on Cuda
struct Tma {};     // bulk tensor copies and warpgroup products: bf16 on a Hopper GPU, with rows of 16 bytes
template <class E, ops::GroupedGemmKernel Which>
class GroupedExperts;

/// Experts computed by one grouped GEMM a projection. Plain and Tma force a kernel on Cuda.
template <class Kernel = Picked>
struct GroupedGemm {
  static_assert(std::is_same_v<Kernel, Picked> || std::is_same_v<Kernel, Plain> || std::is_same_v<Kernel, Tma>,
                "GroupedGemm<...> takes nothing, Plain, or Tma.");
  static constexpr ops::GroupedGemmKernel which = std::is_same_v<Kernel, Tma>     ? ops::GroupedGemmKernel::tma
                                                  : std::is_same_v<Kernel, Plain> ? ops::GroupedGemmKernel::plain
                                                                                  : ops::GroupedGemmKernel::automatic;
  template <class E>
  using Module = GroupedExperts<E, which>;
};

template <class E, ops::GroupedGemmKernel Which>
class GroupedExperts {
  static_assert(Which != ops::GroupedGemmKernel::tma || !std::is_same_v<typename E::Device, Cpu>,
                "GroupedGemm<Tma> is made of a GPU's instructions; write On<Cuda> beside it, or GroupedGemm<>.");

 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = TensorView<T, D>;
  using ConstView = TensorView<const T, D>;

  struct Saved {
    ExpertRows<E> in;  // [R, dim] recomputable, by the dispatcher
    View gate, up;     // [R, hidden], kept
    View h;            // [R, hidden], recomputable
  };

  /// w1, w3: [experts, hidden, dim]; w2: [experts, dim, hidden]; the first dimension is cut over ep.
  GroupedExperts(Declarations<E> d, index_t dim, const MoeSizes& sizes, double depth_std) {
    const std::vector<Shard> over_ep{{Axis::ep, 0}};
    const index_t n = sizes.num_experts, f = sizes.hidden_dim;
    d.add(w1_, {"experts.w1", {n, f, dim}, Initializer::truncated_normal(0.02, 2), over_ep, true});
    d.add(w2_, {"experts.w2", {n, dim, f}, Initializer::truncated_normal(depth_std, 2), over_ep, true});
    d.add(w3_, {"experts.w3", {n, f, dim}, Initializer::truncated_normal(depth_std, 2), over_ep, true});
  }

  /// [R, dim], kept: the dispatcher's backward reads it.
  View forward(Context<E>& c, const ExpertRows<E>& in, Saved& saved) const {
    const index_t rows = in.rows.rows(), hidden = w1_.value.dim(1);
    View out = c.kept({rows, in.rows.cols()});
    saved.in = in;
    saved.gate = c.kept({rows, hidden});
    saved.up = c.kept({rows, hidden});
    saved.h = c.recomputable(saved.gate.shape());
    if (!ops::grouped_gemm_swiglu<T, D>(c.queue, in.rows, w1_.value, w3_.value, in.offsets, saved.gate, saved.up,
                                        saved.h, Which)) {
      ops::grouped_gemm<T>(c.queue, in.rows, w1_.value, in.offsets, saved.gate, Which);
      ops::grouped_gemm<T>(c.queue, in.rows, w3_.value, in.offsets, saved.up, Which);
      ops::swiglu<T>(c.queue, saved.gate, saved.up, saved.h);
    }
    ops::grouped_gemm<T>(c.queue, saved.h, w2_.value, in.offsets, out, Which);
    return out;
  }
  /// Makes h again; `in` is the redispatched rows.
  void recompute(Context<E>& c, const ExpertRows<E>& in, Saved& saved) const {
    saved.in = in;
    saved.h = c.recomputable(saved.gate.shape());
    ops::swiglu<T>(c.queue, saved.gate, saved.up, saved.h);
  }

  /// The gradient of the rows [R, dim], in scratch. dout is an operand of a weight gradient.
  View backward(Context<E>& c, ConstView dout, const Saved& saved) {
    View dx = c.scratch(saved.in.rows.shape());
    ArenaScope scope(c.scratch_arena());
    const auto offsets = saved.in.offsets;
    View dgate = c.operand(saved.gate.shape()), dup = c.operand(saved.gate.shape());
    // Apart: grouped_gemm_swiglu_backward has registers for narrow tiles alone, and takes longer than both (measured).
    ops::grouped_gemm_input_gradient<T>(c.queue, dout, w2_.value, offsets, dgate, false, Which);
    weight_gradient(c, dout, saved.h, offsets, w2_);
    ops::swiglu_backward<T>(c.queue, dgate, saved.gate, saved.up, dgate, dup);
    weight_gradient(c, dgate, saved.in.rows, offsets, w1_);
    weight_gradient(c, dup, saved.in.rows, offsets, w3_);
    ops::grouped_gemm_input_gradient_of_two<T, D>(c.queue, dgate, w1_.value, dup, w3_.value, offsets, dx, Which);
    return dx;
  }

 private:
  static void weight_gradient(Context<E>& c, ConstView dy, ConstView x, TensorView<const std::int32_t, D> offsets,
                              Parameter<E>& w) {
    if (!w.trainable) return;
    c.weight_gradient([&w, &queue = c.queue, dy, x, offsets] {
      ops::grouped_gemm_weight_gradient<T>(queue, dy, x, offsets, w.gradient, true, Which);
    });
  }

  Parameter<E> w1_, w2_, w3_;
};

}  // namespace ashlar::inline v0
