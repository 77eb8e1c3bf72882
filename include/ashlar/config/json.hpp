// Config as JSON, both ways: the file of --config, and the resolved configuration that checkpoints carry.
// Read next: config/json.ipp, how values are read and written; config/command_line.hpp.
#pragma once

#include <string>
#include <string_view>

#include "ashlar/config/options.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// Sets the fields that the JSON object `text` names, as {"section": {"field": value}}; comments are allowed. Throws
/// ConfigError that names `source` and the dotted key: for what is not JSON, for unknown names (with the nearest valid
/// one), for values of another type or outside of the field's check.
void read_json(FieldList& list, std::string_view text, const std::string& source);

/// The same from a file. Throws ConfigError also where it can't be read.
void read_json_file(FieldList& list, const std::string& path);

/// All fields of `config` as JSON text that read_json reads back to the same values. Indented; sorted by name.
std::string to_json(const Config& config);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/config/json.ipp"
#endif
