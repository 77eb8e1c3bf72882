// LowRank: adapters of low rank beside frozen weights (LoRA: Hu et al. 2021, arXiv:2106.09685, section 4.1). What else
// a model has is frozen too: norms, embedding, output, experts. Read next: nn/weights.hpp, train/checkpointer.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "ashlar/config/name_pattern.hpp"
#include "ashlar/nn/adapter_name.hpp"
#include "ashlar/nn/weights.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"

namespace ashlar::inline v0 {

/// y = x W^T + s (x A^T) B^T with W [out, in] frozen, A [rank, in], B [out, rank] and s = alpha / rank. A begins
/// uniform within 1 / sqrt(in) (Kaiming's with a = sqrt(5)), B as zero, so a run begins at the base. Over tp, A is cut
/// where W's columns are and B where its rows are; of what is not cut the gradient is a partial sum.
template <class E>
class LowRankProjection {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  /// dy [N, out] and s dy B [N, rank], empty without adapters.
  struct Gradient {
    ConstView dy, low;
  };

  LowRankProjection(Declarations<E> d, std::string_view name, index_t out, index_t in, LinearKind kind,
                    const Initializer& init)
      : base_(d, name, out, in, kind, init) {
    const LoraConfig& lora = d.lora();
    const std::string full = d.full_name(name);
    if (std::none_of(lora.targets.begin(), lora.targets.end(),
                     [&](const std::string& pattern) { return matches_pattern(pattern, full); }))
      return;
    scale_ = lora.alpha / lora.rank;
    adapters_.emplace();
    std::vector<Shard> rows, columns;
    if (kind == LinearKind::column_parallel) rows.push_back({Axis::tp, 0});
    if (kind == LinearKind::row_parallel) columns.push_back({Axis::tp, 1});
    d.add(adapters_->a, {concat(name, adapter_a), {lora.rank, in}, kaiming_uniform(in), std::move(columns)});
    d.add(adapters_->b, {concat(name, adapter_b), {out, lora.rank}, Initializer::constant(0), std::move(rows)});
  }

  index_t out_dim() const { return base_.out_dim(); }

  void forward(Context<E>& c, ConstView x, View y) const {
    base_.forward(c, x, y);
    if (!adapters_) return;
    ArenaScope scope(c.scratch_arena());
    const View low = c.scratch({x.rows(), rank()});
    multiply_down(c, x, low);
    ops::matmul<T>(c.queue, ConstView(low), ops::Transpose::no, adapters_->b.value, ops::Transpose::yes, y, 1);
  }

  Gradient gradient(Context<E>& c, ConstView dy) const {
    if (!adapters_) return {dy, {}};
    const View low = c.operand({dy.rows(), rank()});
    ops::matmul<T>(c.queue, dy, ops::Transpose::no, adapters_->b.value, ops::Transpose::no, low);
    ops::scale<T, D>(c.queue, low, scale_);
    return {dy, low};
  }
  void input_gradient(Context<E>& c, const Gradient& g, View dx, bool accumulate) const {
    base_.input_gradient(c, g.dy, dx, accumulate);
    if (adapters_) ops::matmul<T>(c.queue, g.low, ops::Transpose::no, adapters_->a.value, ops::Transpose::no, dx, 1);
  }
  void weight_gradient(Context<E>& c, const Gradient& g, ConstView x) {
    if (!adapters_) return;
    const View low = c.operand({x.rows(), rank()});  // made again: forward keeps nothing for it
    multiply_down(c, x, low);
    c.weight_gradient([this, &queue = c.queue, g, x, low] {
      auto& [a, b] = *adapters_;
      if (b.trainable)
        ops::matmul<T>(queue, g.dy, ops::Transpose::yes, ConstView(low), ops::Transpose::no, b.gradient, 1);
      if (a.trainable) ops::matmul<T>(queue, g.low, ops::Transpose::yes, x, ops::Transpose::no, a.gradient, 1);
    });
  }

 private:
  struct Adapters {
    Parameter<E> a, b;
  };

  static Initializer kaiming_uniform(index_t in) {
    return Initializer::uniform(1 / std::sqrt(static_cast<double>(in)));
  }
  index_t rank() const { return adapters_->a.value.dim(0); }
  // low = s x A^T.
  void multiply_down(Context<E>& c, ConstView x, View low) const {
    ops::matmul<T>(c.queue, x, ops::Transpose::no, adapters_->a.value, ops::Transpose::yes, low);
    ops::scale<T, D>(c.queue, low, scale_);
  }

  Linear<E> base_;
  std::optional<Adapters> adapters_;
  double scale_ = 0;
};

struct LowRank : PlainWeights {
  template <class E>
  using Projection = LowRankProjection<E>;
  static constexpr bool needs_base = true;
  static bool trains(const ParameterInfo& info) { return is_adapter(info.name); }
};

}  // namespace ashlar::inline v0
