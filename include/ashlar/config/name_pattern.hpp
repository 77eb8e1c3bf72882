// Patterns over the names of parameters, as options list them.
#pragma once

#include <cstddef>
#include <string_view>

namespace ashlar::inline v0 {

/// Whether `name` is `pattern`, in which * stands for any run of characters.
constexpr bool matches_pattern(std::string_view pattern, std::string_view name) {
  // The last star takes one character more each time what follows it does not fit.
  std::size_t p = 0, n = 0, star = pattern.npos, after_star = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

}  // namespace ashlar::inline v0
