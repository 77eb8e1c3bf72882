// The optimizer over a model's units: the global gradient norm, the clip, and the step of each rule over what it
// updates. Read next: optim/rule.hpp, ops/gradient_norm/gradient_norm.hpp.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ashlar/mesh/mesh.hpp"
#include "ashlar/ops/gradient_norm/gradient_norm.hpp"
#include "ashlar/optim/groups.hpp"
#include "ashlar/optim/rule.hpp"

namespace ashlar::inline v0 {

template <class E, class... Rules>
class Optimizer {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using Queue = typename D::Queue;

  /// The units outlive the optimizer; all have been allocated, and `groups` has classified what they declare.
  Optimizer(Memory<D>& memory, Queue& queue, const Mesh& mesh, std::vector<Unit<E>*> units,
            const OptimizerConfig& options, const ParameterGroups& groups)
      : mesh_(&mesh), units_(std::move(units)), sum_(memory, {1}), norm_and_scale_(memory, {3}) {
    index_t largest = 1;
    for (Unit<E>* unit : units_) {
      for (std::size_t rule = 0; rule < sizeof...(Rules); ++rule) add_unit(memory, queue, *unit, rule, groups);
      largest = std::max(largest, ops::sum_of_squares_workspace<D>(unit->shard_size()));
    }
    workspace_ = Tensor<double, D>(memory, {largest});
    norm_and_scale_.zero(queue);
    make_rules(memory, queue, options, std::index_sequence_for<Rules...>());
  }

  /// Step `step` (1-based, of those that the states have seen) at rate `lr`, on gradients that are the sums over all
  /// ranks, clipped to the global norm `max_norm`. A norm that is not finite leaves every weight as it is. Collective
  /// over the world.
  void step(Queue& queue, std::int64_t step, double lr, double max_norm) {
    measure(queue);
    ops::clip_scale(queue, sum_.view(), max_norm, norm_and_scale_.view());
    const UpdateStep<E> numbers{step, lr, norm_and_scale_.view().range(1, 1)};
    for (RuleUnit<E>& unit : rule_units_) with_rule(unit.rule, [&](auto& rule) { rule.step(queue, unit, numbers); });
  }

  /// [3]: the last step's gradient norm before clipping, what gradients were multiplied by, and how many steps were
  /// skipped because their norm was not finite.
  TensorView<A, D> norm_and_scale() const { return norm_and_scale_.view(); }
  void forget_skipped(Queue& queue) { D::fill_zero(queue, norm_and_scale_.data() + 2, sizeof(A)); }
  const std::vector<Unit<E>*>& units() const { return units_; }
  /// What the rules update, unit after unit, and rule after rule of a unit.
  const std::vector<RuleUnit<E>>& rule_units() const { return rule_units_; }
  /// The names of a rule's states, as checkpoints call them.
  static std::span<const std::string_view> state_names(std::size_t rule) {
    const std::span<const std::string_view> all[] = {Rules::states...};
    return all[rule];
  }

 private:
  // Parameters of one group that follow one another are one span, which reaches to where the next begins. A span may
  // have no part on this rank.
  void add_unit(Memory<D>& memory, Queue& queue, Unit<E>& unit, std::size_t rule, const ParameterGroups& groups) {
    RuleUnit<E> u{&unit, rule, {}, {}, {}};
    const auto& entries = unit.layout().entries();
    const index_t begin = unit.shard_begin(), end = begin + unit.shard_size();
    index_t total = 0;
    for (std::size_t i = 0; i < entries.size() && entries[i].info.trainable;) {
      const ParameterGroups::Group group = groups[entries[i].info.group];
      const std::size_t first = i;
      while (i < entries.size() && entries[i].info.trainable && entries[i].info.group == entries[first].info.group) ++i;
      if (group.rule != rule) continue;
      for (std::size_t p = first; p < i; ++p) u.parameters.push_back(p);
      const bool last = i == entries.size() || !entries[i].info.trainable;
      const index_t low = std::max(begin, entries[first].begin);
      const index_t high = std::min(end, last ? unit.layout().trained().size : entries[i].begin);
      if (low >= high) continue;
      UpdateSpan<E> s;
      s.begin = low;
      s.count = high - low;
      s.lr_factor = group.lr_factor;
      s.weight_decay = group.weight_decay;
      s.gradient = unit.gradient().range(low - begin, s.count);
      s.master = unit.master().range(low - begin, s.count);
      if constexpr (!std::is_same_v<T, A>)
        if (unit.compute_copy()) s.copy = unit.compute_copy().range(low - begin, s.count);
      u.spans.push_back(std::move(s));
      total += high - low;
    }
    if (u.parameters.empty()) return;
    const auto names = static_cast<index_t>(state_names(rule).size());
    if (names > 0) u.states = Tensor<A, D>(memory, {names, total});
    if (names > 0) u.states.zero(queue);
    index_t at = 0;
    for (UpdateSpan<E>& s : u.spans) {
      for (index_t i = 0; i < names; ++i)
        s.states.push_back(u.states.view().reshaped({names * total}).range(i * total + at, s.count));
      at += s.count;
    }
    rule_units_.push_back(std::move(u));
  }

  template <std::size_t... I>
  void make_rules(Memory<D>& memory, Queue& queue, const OptimizerConfig& options, std::index_sequence<I...>) {
    const auto units_of = [&](std::size_t rule) {
      std::vector<RuleUnit<E>*> all;
      for (RuleUnit<E>& u : rule_units_)
        if (u.rule == rule) all.push_back(&u);
      return all;
    };
    (std::get<I>(rules_).emplace(memory, queue, options, units_of(I)), ...);
  }
  template <std::size_t I = 0, class F>
  void with_rule(std::size_t rule, F&& f) {
    if (rule == I) return f(*std::get<I>(rules_));
    if constexpr (I + 1 < sizeof...(Rules)) with_rule<I + 1>(rule, std::forward<F>(f));
  }

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
  std::vector<RuleUnit<E>> rule_units_;
  std::tuple<std::optional<typename Rules::template Module<E>>...> rules_;
  Tensor<double, D> sum_, workspace_;
  Tensor<A, D> norm_and_scale_;
};

}  // namespace ashlar::inline v0
