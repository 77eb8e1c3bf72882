// Which valid name was meant: edit distance, for messages about unknown keys, flags, subcommands and alternatives. Read
// next: config/check.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, each character
/// used in one edit at most (optimal string alignment). Case is ignored; `-` equals `_`. O(|a| |b|) time.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `name`; the first of equals; empty where there are no candidates. A name without a dot is
/// also compared with what follows a candidate's last dot, so that "seqlen" finds "training.seq_len".
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/config/nearest_name.ipp"
#endif
