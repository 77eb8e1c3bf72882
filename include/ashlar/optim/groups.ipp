// Definitions of groups.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/optim/groups.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE void ParameterGroups::classify(ParameterInfo& info) {
  info.group = static_cast<int>(groups_.size());
  for (std::size_t g = groups_.size(); g-- > 0;)
    if (matches_pattern(groups_[g].names, info.name)) info.group = static_cast<int>(g);
  if (info.group == static_cast<int>(groups_.size())) return;
  const auto g = static_cast<std::size_t>(info.group);
  ++counts_[g];
  if (groups_[g].rule == frozen) info.trainable = false;
}

ASHLAR_ONCE void ParameterGroups::check_counts() const {
  for (std::size_t g = 0; g < groups_.size(); ++g)
    if (counts_[g] == 0)
      throw ConfigError(concat("optimizer.groups: \"", groups_[g].names,
                               "\" matches no parameter that an earlier group has not; * stands for any run of "
                               "characters, as in \"layers.*.attention.*\""));
}

}  // namespace ashlar::inline v0
