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
template <class M>
ByName weights_of(Trainer<M>& trainer) {
  return tensors_of(trainer, [](auto& unit) { return unit.master(); });
}
/// The summed gradients of the last step, before clipping.
template <class M>
ByName gradients_of(Trainer<M>& trainer) {
  return tensors_of(trainer, [](auto& unit) { return unit.gradient(); });
}
/// Overwrites one weight; the trainer computes with it from then on.
template <class M>
void set_weights(Trainer<M>& trainer, const ByName& values) {
  for (auto& stage : trainer.stages())
    for (auto* unit : stage->units())
      for (const auto& e : unit->layout().entries())
        if (const auto found = values.find(e.info.name); found != values.end())
          for (std::size_t i = 0; i < found->second.size(); ++i)
            unit->master().data()[e.begin + static_cast<index_t>(i)] =
                static_cast<typename M::Environment::Master>(found->second[i]);
  trainer.resume_at(trainer.step_count(), trainer.update_count());
}

/// Row r of an array [rows, seq_len].
inline std::vector<int> row_of(const std::vector<std::int32_t>& all, index_t row, index_t seq_len) {
  return {all.begin() + row * seq_len, all.begin() + (row + 1) * seq_len};
}

}  // namespace ashlar::test
