// Definitions of nearest_name.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/config/nearest_name.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE int edit_distance(std::string_view a, std::string_view b) {
  const auto folded = [](char c) {
    return c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  std::vector<int> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = folded(a[i - 1]) == folded(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + !same});
      if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

ASHLAR_ONCE std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  name = name.substr(0, 256);  // nobody's typing error is longer, and the distance costs a product of lengths
  const bool bare = name.find('.') == name.npos;
  const std::string* best = nullptr;
  int least = 0;
  for (const std::string& candidate : candidates) {
    int distance = edit_distance(name, candidate);
    if (const std::size_t dot = candidate.rfind('.'); bare && dot != candidate.npos)
      distance = std::min(distance, edit_distance(name, std::string_view(candidate).substr(dot + 1)));
    if (!best || distance < least) best = &candidate, least = distance;
  }
  return best ? *best : std::string();
}

}  // namespace ashlar::inline v0
