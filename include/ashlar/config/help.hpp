// What people read about the configuration: --help, and the reference page docs/configuration.md. Both are the field
// list written out, so they can't disagree with the parser. Read next: config/command_line.hpp.
#pragma once

#include <string>
#include <string_view>

#include "ashlar/config/options.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// One subcommand of a recipe's binary.
struct SubcommandNote {
  std::string_view name, meaning;
};
inline constexpr SubcommandNote subcommand_notes[] = {
    {"train", "train a model, or go on with a run"},
    {"evaluate", "loss and perplexity of a checkpoint on held-out text"},
    {"generate", "continue a text"},
    {"plan", "memory, FLOPs and messages of a run of any size, without running it"},
    {"convert", "write a checkpoint's weights as one model.safetensors, in the type of checkpoint.export_dtype"},
    {"tokenize", "write a text's tokens as a file that training maps, and back"},
};

namespace detail {

/// Whether `section` belongs to a subcommand other than `subcommand` alone: a section named after a subcommand does.
inline bool is_foreign_section(std::string_view section, std::string_view subcommand) {
  for (const SubcommandNote& note : subcommand_notes)
    if (note.name == section) return section != subcommand;
  return false;
}

inline std::string default_text(const Field& field) {
  const std::string text = value_text(field);
  return text.empty() ? "empty" : text;
}

}  // namespace detail

/// The help of the whole program `program`: its subcommands.
std::string help_text(std::string_view program);

/// The help of one subcommand: every flag by section, with type, default, unit, allowed values and meaning.
std::string help_text(std::string_view program, std::string_view subcommand);

/// docs/configuration.md: a table for each section.
std::string reference_page();

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/config/help.ipp"
#endif
