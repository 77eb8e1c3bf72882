// The optimizer over a model's units: the global gradient norm, the clip, and one AdamW pass a unit over its flat
// range. Read next: optim/adamw.hpp, ops/gradient_norm/gradient_norm.hpp.
#pragma once

#include <vector>

#include "ashlar/mesh/mesh.hpp"
#include "ashlar/ops/gradient_norm/gradient_norm.hpp"
#include "ashlar/optim/adamw.hpp"
#include "ashlar/parallel/unit.hpp"

namespace ashlar::inline v0 {

template <class E>
class Optimizer {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using Queue = typename D::Queue;

  /// The units outlive the optimizer; all have been allocated.
  Optimizer(Memory<D>& memory, Queue& queue, const Mesh& mesh, std::vector<Unit<E>*> units, const AdamWOptions& options)
      : mesh_(&mesh), units_(std::move(units)), options_(options), sum_(memory, {1}), norm_and_scale_(memory, {3}) {
    index_t largest = 1;
    for (Unit<E>* unit : units_) {
      states_.emplace_back(memory, queue, unit->shard_size());
      largest = std::max(largest, ops::sum_of_squares_workspace<D>(unit->shard_size()));
    }
    workspace_ = Tensor<double, D>(memory, {largest});
    norm_and_scale_.zero(queue);
  }

  /// Step `step` (1-based) at rate `lr`, on gradients that are the sums over all ranks, clipped to the global norm
  /// `max_norm`. A norm that is not finite leaves every weight as it is. Collective over the world.
  void step(Queue& queue, std::int64_t step, double lr, double max_norm) {
    measure(queue);
    ops::clip_scale(queue, sum_.view(), max_norm, norm_and_scale_.view());
    const ops::AdamWStep numbers = adamw_step(options_, lr, step);
    const TensorView<const A, D> scale(norm_and_scale_.data() + (D::has_storage ? 1 : 0), {1});
    for (std::size_t i = 0; i < units_.size(); ++i) {
      Unit<E>& unit = *units_[i];
      if (unit.shard_size() == 0) continue;
      TensorView<T, D> copy;
      if constexpr (!std::is_same_v<T, A>) copy = unit.compute_copy();
      ops::adamw<T>(queue, numbers, scale, unit.gradient(), unit.master(), states_[i].exp_avg(),
                    states_[i].exp_avg_sq(), copy);
    }
  }

  /// [3]: the last step's gradient norm before clipping, what gradients were multiplied by, and how many steps were
  /// skipped because their norm was not finite.
  TensorView<A, D> norm_and_scale() const { return norm_and_scale_.view(); }
  void forget_skipped(Queue& queue) { D::fill_zero(queue, norm_and_scale_.data() + 2, sizeof(A)); }
  const std::vector<Unit<E>*>& units() const { return units_; }
  AdamWState<A, D>& state(std::size_t unit) { return states_[unit]; }

 private:
  // sum_ becomes the sum of squares of all gradients. What several ranks hold alike counts on one of them.
  void measure(Queue& queue) {
    sum_.zero(queue);
    for (Unit<E>* unit : units_) {
      if (unit->shard_size() == 0 || unit->groups().replicate.rank() != 0) continue;
      const auto [alike, end] = unit->partial_range();
      const index_t n = unit->groups().tensor.rank() == 0 ? end : alike;
      ops::sum_of_squares<A>(queue, TensorView<const A, D>(unit->gradient().data(), {n}), sum_.view(),
                             workspace_.view());
    }
    Communicator world = mesh_->world();
    world.all_reduce(queue, sum_.view()).wait(queue);
  }

  const Mesh* mesh_;
  std::vector<Unit<E>*> units_;
  AdamWOptions options_;
  std::vector<AdamWState<A, D>> states_;
  Tensor<double, D> sum_, workspace_;
  Tensor<A, D> norm_and_scale_;
};

}  // namespace ashlar::inline v0
