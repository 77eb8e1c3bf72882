// The command line of a recipe's binary: subcommand, --config FILE, and a flag for each configuration field. About a
// hundred lines over the field list, which already knows names, types and checks. Read next: config/help.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ashlar/config/help.hpp"
#include "ashlar/config/json.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// In the order of subcommand_notes.
enum class Subcommand { train, evaluate, generate, plan, convert, tokenize };

constexpr std::string_view to_string(Subcommand s) {
  return subcommand_notes[static_cast<int>(s)].name;
}

/// What a user asked for.
struct CommandLine {
  Subcommand subcommand = Subcommand::train;
  Config config;                   // resolved: flags over the file over the defaults; validated
  std::string config_file;         // of --config; empty without
  std::vector<std::string> given;  // dotted names of the fields that the file or a flag sets
  std::string help;                // if not empty: the text to print instead of running

  /// Whether the file or a flag sets the field; if not, a subcommand may choose a default of its own.
  bool is_given(std::string_view name) const {
    for (const std::string& g : given)
      if (g == name) return true;
    return false;
  }
};

namespace detail {

inline Subcommand subcommand_of(std::string_view name) {
  std::vector<std::string> names;
  for (const SubcommandNote& note : subcommand_notes) {
    if (note.name == name) return static_cast<Subcommand>(names.size());
    names.emplace_back(note.name);
  }
  throw ConfigError(
      concat("unknown subcommand \"", name, "\"; the nearest valid name is \"", nearest_name(name, names), "\""));
}

/// A flag as written: "--name", "--name=value" or "--name value".
struct Flag {
  std::string name;  // without dashes; in the spelling of the field list where it is a field's
  Field* field = nullptr;
  std::string_view value;
};

/// Reads the arguments one flag at a time.
class FlagReader {
 public:
  FlagReader(std::span<const std::string_view> arguments, Subcommand subcommand, FieldList& list)
      : arguments_(arguments), own_section_(to_string(subcommand)), list_(list) {}

  /// The next flag; nothing at the end. Throws ConfigError for what is no flag, for unknown names and missing values.
  std::optional<Flag> next() {
    if (position_ == arguments_.size()) return std::nullopt;
    const std::string_view argument = arguments_[position_++];
    if (!argument.starts_with("--") || argument.size() == 2)
      throw ConfigError(concat("unexpected argument \"", argument, "\": flags look like --section.field value"));
    const std::size_t equals = std::min(argument.find('='), argument.size());
    Flag flag;
    flag.name = argument.substr(2, equals - 2);
    if (flag.name != "config") flag.field = find(flag.name);

    if (equals < argument.size()) {
      flag.value = argument.substr(equals + 1);
    } else if (flag.field && flag.field->is_flag()) {
      const bool has_value = position_ < arguments_.size() && is_truth(arguments_[position_]);
      flag.value = has_value ? arguments_[position_++] : "true";
    } else {
      if (position_ == arguments_.size() || arguments_[position_].starts_with("--"))
        throw ConfigError(concat("--", flag.name, ": a value must follow (one that begins with -- is written --",
                                 flag.name, "=VALUE)"));
      flag.value = arguments_[position_++];
    }
    return flag;
  }

 private:
  static bool is_truth(std::string_view text) { return text == "true" || text == "false"; }

  /// The field of that dotted name; a name without a dot is a field of the subcommand's own section.
  Field* find(const std::string& name) const {
    Field* field = list_.find(name);
    if (!field) field = list_.find(concat(own_section_, ".", name));
    if (field) return field;
    std::vector<std::string> names = list_.names();
    names.insert(names.end(), {"config", "help"});
    throw ConfigError(concat("unknown flag --", name, "; the nearest valid name is --", nearest_name(name, names)));
  }

  std::span<const std::string_view> arguments_;
  std::string_view own_section_;
  FieldList& list_;
  std::size_t position_ = 0;
};

}  // namespace detail

/// Reads the arguments that follow the program's name. `program` is what help calls it. Where a flag stands twice the
/// last one counts (of --optimizer.groups, both); --help anywhere makes a help text, whatever stands beside it is not
/// read. Throws ConfigError, whose text is for the user, for anything that can't be understood or that validate()
/// refuses.
CommandLine parse(std::span<const std::string_view> arguments, std::string_view program);

/// The same from what main() gets. argv[0] names the program.
CommandLine parse(int argc, const char* const* argv);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/config/command_line.ipp"
#endif
