// The one description of Config: every section and field with unit, meaning and check. A new option is one member in
// config/config.hpp and one line here; file, flags, help, errors and the reference page follow.
// Read next: config/json.hpp, config/command_line.hpp.
#pragma once

#include "ashlar/config/config.hpp"
#include "ashlar/config/field.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// All fields, in the order that help shows them. The list refers to `config`: it must not outlive it.
FieldList fields(Config& config);

/// Throws ConfigError at the first field whose value fails its check, and where fields contradict each other whatever
/// the model and the number of ranks. (What depends on these is checked where they are known: mesh, trainer, models.)
void validate(const Config& config);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/config/options.ipp"
#endif
