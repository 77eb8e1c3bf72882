// Definitions of command_line.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/config/command_line.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE CommandLine parse(std::span<const std::string_view> arguments, std::string_view program) {
  CommandLine out;
  if (arguments.empty()) throw ConfigError(concat("a subcommand is missing\n", help_text(program)));
  const bool wants_help = std::find(arguments.begin(), arguments.end(), "--help") != arguments.end() ||
                          arguments[0] == "-h" || (arguments.size() > 1 && arguments[1] == "-h");
  if (wants_help && arguments[0].starts_with("-")) {
    out.help = help_text(program);
    return out;
  }
  out.subcommand = detail::subcommand_of(arguments[0]);
  if (wants_help) {
    out.help = help_text(program, to_string(out.subcommand));
    return out;
  }

  // Two passes: the file first, wherever --config stands, then the flags over it.
  FieldList list = fields(out.config);
  std::vector<detail::Flag> flags;
  detail::FlagReader reader(arguments.subspan(1), out.subcommand, list);
  while (std::optional<detail::Flag> flag = reader.next()) {
    if (flag->name != "config") {
      flags.push_back(*flag);
    } else {
      if (!out.config_file.empty()) throw ConfigError("--config: stands twice");
      if (flag->value.empty()) throw ConfigError("--config: expected the name of a file, found nothing");
      out.config_file = flag->value;
    }
  }
  if (!out.config_file.empty()) read_json_file(list, out.config_file);
  for (const detail::Flag& flag : flags)  // groups: those of flags in place of the file's, one flag after another
    if (const auto* groups = std::get_if<std::vector<GroupOptions>*>(&flag.field->value)) (*groups)->clear();
  for (const detail::Flag& flag : flags) assign(*flag.field, flag.value, concat("--", flag.field->name));

  for (const FieldList::Section& section : list.sections())
    for (const Field& field : section.fields)
      if (field.given) out.given.push_back(field.name);
  validate(out.config);
  return out;
}

ASHLAR_ONCE CommandLine parse(int argc, const char* const* argv) {
  const std::vector<std::string_view> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  std::string_view program = argc > 0 ? argv[0] : "ashlar";
  program.remove_prefix(program.rfind('/') + 1);  // npos + 1 is 0
  return parse(arguments, program);
}

}  // namespace ashlar::inline v0
