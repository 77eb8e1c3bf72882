// A trainer's state as checkpoints see it: flat ranges, whatever the types and the device of what is in them. Read
// next: checkpoint/state.hpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ashlar/checkpoint/state.hpp"
#include "ashlar/train/trainer.hpp"

namespace ashlar::inline v0 {

namespace detail {

/// How to get at elements in the memory of D; the queue outlives what is returned.
template <class A, Device D>
StateRange state_range(typename D::Queue& queue, TensorView<A, D> values) {
  StateRange r;
  r.count = values.count();
  r.dtype = dtype_of<A>;
  r.download = [&queue, values](void* host, index_t n) {
    D::download(queue, host, values.data(), static_cast<std::size_t>(n) * sizeof(A));
  };
  r.upload = [&queue, values](const void* host, index_t n) {
    D::upload(queue, values.data(), host, static_cast<std::size_t>(n) * sizeof(A));
  };
  return r;
}

/// A unit's range of `part`. Replicas hold it alike, and ranks of tp what they do not cut.
template <class E, class Values>
StateRange unit_range(typename E::Device::Queue& queue, const Unit<E>& unit, const UnitPart& part, Values values,
                      std::string prefix) {
  StateRange r = state_range(queue, values);
  const int rank = unit.groups().shard.rank();
  r.layout = std::shared_ptr<const UnitLayout>(std::shared_ptr<void>(), &unit.layout());
  r.begin = part.shard_begin(rank);
  const bool writes_all = unit.groups().tensor.rank() == 0;
  r.owned = unit.groups().replicate.rank() != 0 ? 0 : writes_all ? part.shard_size() : part.cut_by_tp(rank);
  r.prefix = std::move(prefix);
  return r;
}

}  // namespace detail

/// The weights that are trained. What these functions return is valid as long as the trainer lives.
template <class M>
std::vector<StateRange> trained_state(Trainer<M>& trainer) {
  std::vector<StateRange> state;
  for (auto* unit : trainer.optimizer().units())
    if (const UnitPart& part = unit->layout().trained(); part.size > 0)
      state.push_back(detail::unit_range(trainer.queue(), *unit, part, unit->master(), ""));
  return state;
}

/// The weights that are frozen, in the compute type.
template <class M>
std::vector<StateRange> frozen_state(Trainer<M>& trainer) {
  std::vector<StateRange> state;
  for (auto* unit : trainer.optimizer().units())
    if (const UnitPart& part = unit->layout().frozen(); part.size > 0)
      state.push_back(detail::unit_range(trainer.queue(), *unit, part, unit->frozen_values(), ""));
  return state;
}

/// The buffers, which no gradient trains.
template <class M>
std::vector<StateRange> buffer_state(Trainer<M>& trainer) {
  std::vector<StateRange> state;
  for (auto& stage : trainer.stages())
    for (const auto& buffer : stage->buffers()) {
      StateRange r = detail::state_range(trainer.queue(), buffer.values);
      r.layout = std::make_shared<const UnitLayout>(UnitLayout::of_whole(buffer.name, buffer.values.shape()));
      r.owned = trainer.mesh().data_and_tensor().rank() == 0 ? r.count : 0;
      state.push_back(std::move(r));
    }
  return state;
}

/// The gradients of the last step, summed over ranks and not yet clipped. Valid until the next step begins.
template <class M>
std::vector<StateRange> gradient_state(Trainer<M>& trainer) {
  std::vector<StateRange> state;
  for (auto* unit : trainer.optimizer().units())
    if (const UnitPart& part = unit->layout().trained(); part.size > 0)
      state.push_back(detail::unit_range(trainer.queue(), *unit, part, unit->gradient(), "gradient."));
  return state;
}

/// What the optimizer's rules remember, a range for each state of each span.
template <class M>
std::vector<StateRange> optimizer_state(Trainer<M>& trainer) {
  std::vector<StateRange> state;
  const auto& optimizer = trainer.optimizer();
  for (const auto& u : optimizer.rule_units())
    for (const auto& span : u.spans)
      for (std::size_t i = 0; i < span.states.size(); ++i) {
        const StateRange whole =
            detail::unit_range(trainer.queue(), *u.unit, u.unit->layout().trained(), u.unit->master(), "");
        StateRange r = detail::state_range(trainer.queue(), span.states[i]);
        r.layout = whole.layout;
        r.begin = span.begin;
        r.owned = std::clamp(whole.begin + whole.owned - span.begin, index_t{0}, span.count);
        r.prefix = concat(optimizer_prefix, optimizer.state_names(u.rule)[i], ".");
        state.push_back(std::move(r));
      }
  return state;
}

}  // namespace ashlar::inline v0
