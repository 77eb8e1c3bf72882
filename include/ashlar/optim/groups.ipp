// Definitions of groups.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/optim/groups.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE bool matches_pattern(std::string_view pattern, std::string_view name) {
  // The last star takes one character more each time what follows it does not fit.
  std::size_t p = 0, n = 0, star = pattern.npos, after_star = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

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
