// What the tests of this folder read from a trainer on one rank: whole tensors by name. Read next:
// tests/absolute/reference_decoder.hpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ashlar/train/trainer.hpp"

namespace ashlar::test {

using ByName = std::map<std::string, std::vector<double>>;

/// pick(unit) is a range as long as what the unit trains; its tensors by name. One rank.
template <class M, class Pick>
ByName tensors_of(Trainer<M>& trainer, Pick&& pick) {
  ByName all;
  for (auto& stage : trainer.stages())
    for (auto* unit : stage->units()) {
      const auto range = pick(*unit);
      for (const auto& e : unit->layout().entries())
        if (e.info.trainable)
          all[e.info.name].assign(range.data() + e.begin, range.data() + e.begin + e.local_shape.count());
    }
  return all;
}
/// f(name, elements, how many), with trained weights and frozen ones. One rank.
template <class M, class F>
void for_each_weight(Trainer<M>& trainer, F&& f) {
  for (auto& stage : trainer.stages())
    for (auto* unit : stage->units())
      for (const auto& e : unit->layout().entries()) {
        if (e.info.trainable)
          f(e.info.name, unit->master().data() + e.begin, e.local_shape.count());
        else
          f(e.info.name, unit->frozen_values().data() + (e.begin - unit->frozen_begin()), e.local_shape.count());
      }
}
template <class M>
ByName weights_of(Trainer<M>& trainer) {
  ByName all;
  for_each_weight(trainer,
                  [&](const std::string& name, auto* values, index_t n) { all[name].assign(values, values + n); });
  return all;
}
/// The summed gradients of the last step, before clipping.
template <class M>
ByName gradients_of(Trainer<M>& trainer) {
  return tensors_of(trainer, [](auto& unit) { return unit.gradient(); });
}
/// Overwrites the weights named; the trainer computes with them from then on.
template <class M>
void set_weights(Trainer<M>& trainer, const ByName& values) {
  for_each_weight(trainer, [&]<class T>(const std::string& name, T* to, index_t) {
    const auto found = values.find(name);
    if (found == values.end()) return;
    for (std::size_t i = 0; i < found->second.size(); ++i) to[i] = static_cast<T>(found->second[i]);
  });
  trainer.resume_at(trainer.step_count(), trainer.update_count());
}

/// Row r of an array [rows, seq_len].
inline std::vector<int> row_of(const std::vector<std::int32_t>& all, index_t row, index_t seq_len) {
  return {all.begin() + row * seq_len, all.begin() + (row + 1) * seq_len};
}

}  // namespace ashlar::test
