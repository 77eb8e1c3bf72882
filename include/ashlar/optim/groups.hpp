// Groups of parameters that the optimizer treats alike: which a parameter is in, by its name. Read next:
// optim/optimizer.hpp.
#pragma once

#include <string_view>
#include <vector>

#include "ashlar/config/config.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/tensor/parameter.hpp"

namespace ashlar::inline v0 {

/// Whether `name` is `pattern`, in which * stands for any run of characters.
bool matches_pattern(std::string_view pattern, std::string_view name);

/// The groups that a configuration lists, in its order, and behind them the one of all other parameters.
class ParameterGroups {
 public:
  /// The rule of parameters that are not trained.
  static constexpr std::string_view frozen = "Frozen";

  explicit ParameterGroups(const OptimizerConfig& config) : groups_(config.groups), counts_(config.groups.size()) {}

  /// Puts a parameter into the first group whose pattern its name matches.
  void classify(ParameterInfo& info);
  /// How many parameters each listed group has got on this rank.
  std::vector<double>& counts() { return counts_; }
  /// Throws ConfigError for a group without parameters; `counts` are those of the whole model.
  void check_counts() const;

 private:
  std::vector<GroupOptions> groups_;
  std::vector<double> counts_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/optim/groups.ipp"
#endif
