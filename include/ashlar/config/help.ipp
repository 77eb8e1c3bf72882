// Definitions of help.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <fmt/core.h>

#include "ashlar/config/help.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string help_text(std::string_view program) {
  std::string out =
      fmt::format("usage: {} SUBCOMMAND [--config FILE] [--section.field VALUE]...\n\nsubcommands:\n", program);
  for (const SubcommandNote& note : subcommand_notes) out += fmt::format("  {:<12}{}\n", note.name, note.meaning);
  return out + fmt::format("\n{} SUBCOMMAND --help lists the flags.\n", program);
}

ASHLAR_ONCE std::string help_text(std::string_view program, std::string_view subcommand) {
  Config defaults;
  const FieldList list = fields(defaults);
  std::string out = fmt::format("usage: {} {} [--config FILE] [--section.field VALUE]...\n", program, subcommand);
  for (const SubcommandNote& note : subcommand_notes)
    if (note.name == subcommand) out += fmt::format("{}\n", note.meaning);
  out +=
      "\n  --config FILE  JSON of the form {\"section\": {\"field\": value}}, comments allowed; flags come before it\n";
  for (const FieldList::Section& section : list.sections()) {
    if (detail::is_foreign_section(section.name, subcommand)) continue;
    out += fmt::format("\n{}: {}\n", section.name, section.meaning);
    if (section.name == subcommand) out += fmt::format("(here \"{}.\" may be left out)\n", subcommand);
    for (const Field& field : section.fields) {
      out += fmt::format("  --{} {}{}{}  (default {}", field.name, field.is_flag() ? "[" : "", type_name(field),
                         field.is_flag() ? "]" : "", detail::default_text(field));
      if (!field.note.unit.empty()) out += fmt::format("; {}", field.note.unit);
      if (const std::string allowed = field.note.check.text(); !allowed.empty()) out += fmt::format("; {}", allowed);
      out += fmt::format(")\n      {}\n", field.note.meaning);
    }
  }
  return out;
}

ASHLAR_ONCE std::string reference_page() {
  Config defaults;
  const FieldList list = fields(defaults);
  std::string out =
      "# Configuration\n\n"
      "<!-- Written from include/ashlar/config/options.hpp by tests/config/help.cpp: change it there. "
      "-->\n\n"
      "Every field can be set in the JSON file of `--config FILE`, as `{\"section\": {\"field\": value}}` with "
      "comments\n"
      "allowed, and by a flag, `--section.field value` or `--section.field=value`. Flags win over the file, the file "
      "over\n"
      "the defaults. In flags `-` and `_` are the same; `--checkpoint.enable` alone means `true`; lists are separated "
      "by\n"
      "commas, groups by semicolons (`--optimizer.groups "
      "\"names=layers.*.w*.weight,rule=Muon;names=*norm*,weight_decay=0\"`; in the file they are\n"
      "a list of objects). A subcommand's own section needs no prefix: `plan --json` is `plan --plan.json`.\n";
  for (const FieldList::Section& section : list.sections()) {
    out += fmt::format(
        "\n## {}\n\n{}\n\n| flag | type | default | unit | allowed | meaning |\n"
        "| --- | --- | --- | --- | --- | --- |\n",
        section.name, section.meaning);
    for (const Field& field : section.fields) {
      std::string type(type_name(field));
      for (std::size_t bar = type.find('|'); bar != type.npos; bar = type.find('|')) type.replace(bar, 1, " or ");
      out += fmt::format("| `--{}` | {} | {} | {} | {} | {} |\n", field.name, type, detail::default_text(field),
                         field.note.unit, field.note.check.text(), field.note.meaning);
    }
  }
  return out;
}

}  // namespace ashlar::inline v0
