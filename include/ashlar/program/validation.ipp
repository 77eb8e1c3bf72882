// Definitions of validation.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <fmt/core.h>

#include "ashlar/program/validation.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string held_out_text(double loss, std::optional<double> bigram_loss) {
  if (!bigram_loss) return fmt::format("held-out loss {:.4f} nats a token", loss);
  return fmt::format("held-out loss {:.4f} nats a byte; a byte bigram model of the same text has {:.4f}", loss,
                     *bigram_loss);
}

ASHLAR_ONCE std::string trained_on_note(const Config& config, const std::filesystem::path& checkpoint) {
  if (!is_complete(checkpoint)) return "";  // bare weights
  Config made;
  try {
    FieldList list = fields(made);
    read_json(list, read_manifest(checkpoint).config, checkpoint.string());
  } catch (const ConfigError&) {
    return "";  // another version's
  }
  const std::string& text = made.training.dataset_path;
  const double held_out = made.validation.enable ? made.validation.held_out_fraction : 0;
  if (made.training.dataset != "text" || text.empty() || held_out >= config.validation.held_out_fraction) return "";
  return concat("note: the run of this checkpoint held out ", held_out > 0 ? concat("only ", held_out) : "nothing",
                " of ", text, "; where that is the text evaluated here, the loss is not of held-out text alone");
}

}  // namespace ashlar::inline v0
