// Groups of parameters that the optimizer treats alike: which a parameter is in, by its name, and which rule, rate and
// decay that means. Read next: optim/optimizer.hpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ashlar/config/config.hpp"
#include "ashlar/config/name_pattern.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/tensor/parameter.hpp"

namespace ashlar::inline v0 {

/// What groups need to know of a rule.
struct RuleNote {
  std::string_view name;
  bool (*takes)(const ParameterInfo&);
};

/// The groups that a configuration lists, in its order, and behind them the one of all other parameters; each once for
/// every rule. ParameterInfo::group is a number of these.
class ParameterGroups {
 public:
  /// The rule of parameters that are not trained.
  static constexpr std::string_view frozen = "Frozen";

  struct Group {
    std::size_t rule;
    double lr_factor, weight_decay;
  };

  /// Throws ConfigError for a rule that is not among `rules`, those compiled in.
  ParameterGroups(const OptimizerConfig& config, std::vector<RuleNote> rules);

  /// Puts a parameter into the first group whose pattern its name matches. Throws ConfigError where no rule takes it.
  void classify(ParameterInfo& info);
  Group operator[](int group) const;

  /// How many parameters of this rank each listed group has got, then each rule.
  std::vector<double>& counts() { return counts_; }
  /// Throws ConfigError for a group without parameters, and for a rule without; `counts` are those of the whole model.
  void check_counts() const;

 private:
  std::size_t find_rule(std::string_view name, std::string_view origin) const;
  std::string rule_names() const;

  OptimizerConfig config_;
  std::vector<RuleNote> rules_;
  std::vector<double> counts_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/optim/groups.ipp"
#endif
