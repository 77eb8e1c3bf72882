// Definitions of groups.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/optim/groups.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE ParameterGroups::ParameterGroups(const OptimizerConfig& config, std::vector<RuleNote> rules)
    : config_(config), rules_(std::move(rules)), counts_(config.groups.size() + rules_.size()) {
  if (config_.name.empty()) config_.name = rules_.front().name;
  find_rule(config_.name, "--optimizer.name");
  for (const GroupOptions& g : config_.groups)
    if (!g.rule.empty() && g.rule != frozen) find_rule(g.rule, "--optimizer.groups: rule");
}

ASHLAR_ONCE void ParameterGroups::classify(ParameterInfo& info) {
  std::size_t g = 0;
  while (g < config_.groups.size() && !matches_pattern(config_.groups[g].names, info.name)) ++g;
  const bool listed = g < config_.groups.size();
  if (listed) ++counts_[g];
  const std::string rule = listed ? config_.groups[g].rule : "";
  if (rule == frozen) info.trainable = false;
  if (!info.trainable) return;
  std::size_t r = find_rule(rule.empty() ? config_.name : rule, "");
  if (rule.empty() && !rules_[r].takes(info))
    for (r = 0; r < rules_.size() && !rules_[r].takes(info);) ++r;
  if (r == rules_.size())
    throw ConfigError(concat("no rule of Optimize<", rule_names(), "> takes the parameter ", info.name, " ", info.shape,
                             "; add one that takes all, as in Optimize<", rule_names(), ", AdamW>"));
  if (!rules_[r].takes(info))
    throw ConfigError(concat("--optimizer.groups: \"", config_.groups[g].names, "\" gives ", info.name, " ", info.shape,
                             " to ", rules_[r].name,
                             ", which does not take it; narrow the pattern, or name the parameter in a group before"));
  ++counts_[config_.groups.size() + r];
  info.group = static_cast<int>(g * rules_.size() + r);
}

ASHLAR_ONCE ParameterGroups::Group ParameterGroups::operator[](int group) const {
  const std::size_t g = static_cast<std::size_t>(group) / rules_.size();
  const std::size_t rule = static_cast<std::size_t>(group) % rules_.size();
  if (g == config_.groups.size()) return {rule, 1, config_.weight_decay};
  const GroupOptions& options = config_.groups[g];
  return {rule, options.lr_factor, options.weight_decay.value_or(config_.weight_decay)};
}

ASHLAR_ONCE void ParameterGroups::check_counts() const {
  for (std::size_t g = 0; g < config_.groups.size(); ++g)
    if (counts_[g] == 0)
      throw ConfigError(concat("--optimizer.groups: \"", config_.groups[g].names,
                               "\" matches no parameter that an earlier group has not; * stands for any run of "
                               "characters, as in \"layers.*.attention.*\""));
  for (std::size_t r = 0; r < rules_.size(); ++r)
    if (counts_[config_.groups.size() + r] == 0)
      throw ConfigError(concat("the recipe has Optimize<", rule_names(), ">, but no parameter is updated by ",
                               rules_[r].name,
                               ": name it with --optimizer.name or in --optimizer.groups, or take it "
                               "out of Optimize<...>"));
}

ASHLAR_ONCE std::size_t ParameterGroups::find_rule(std::string_view name, std::string_view origin) const {
  for (std::size_t r = 0; r < rules_.size(); ++r)
    if (rules_[r].name == name) return r;
  throw ConfigError(concat(origin, " ", name, " is not compiled into this binary; its recipe has ", rule_names(),
                           ". Add the rule to Optimize<...> and build again"));
}

ASHLAR_ONCE std::string ParameterGroups::rule_names() const {
  std::string names;
  for (const RuleNote& rule : rules_) names += concat(names.empty() ? "" : ", ", rule.name);
  return names;
}

}  // namespace ashlar::inline v0
