// Which values a configuration field takes: a range of numbers or a set of names, written as it is read aloud:
// `at_least(2).or_exactly(0)`. Read next: config/field.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0 {

/// A set of allowed values. The default allows every finite number and every text.
class Check {
 public:
  Check() = default;

  // The two ends of a range of numbers, each with or without the end itself; and one number outside of the range.
  Check& at_least(double low) { return low_ = low, low_is_allowed_ = true, *this; }
  Check& above(double low) { return low_ = low, low_is_allowed_ = false, *this; }
  Check& at_most(double high) { return high_ = high, high_is_allowed_ = true, *this; }
  Check& below(double high) { return high_ = high, high_is_allowed_ = false, *this; }
  Check& or_exactly(double value) { return exception_ = value, *this; }
  // A closed set of names.
  Check& one_of(std::initializer_list<std::string_view> names) {
    ashlar::check(names.size() <= names_.size(), "Check::one_of takes up to six names");
    count_ = names.size();
    std::copy(names.begin(), names.end(), names_.begin());
    return *this;
  }

  bool allows(double value) const {
    if (exception_ && value == *exception_) return true;
    return (low_is_allowed_ ? value >= low_ : value > low_) && (high_is_allowed_ ? value <= high_ : value < high_);
  }
  bool allows(std::string_view text) const {
    return count_ == 0 || std::count(names().begin(), names().end(), text) > 0;
  }

  /// The alternatives of one_of; empty where any text goes.
  std::span<const std::string_view> names() const { return {names_.data(), count_}; }

  /// "at least 2 or exactly 0", "one of linear, sqrt, cosine"; empty where everything is allowed.
  std::string text() const {
    std::string out;
    for (std::string_view name : names()) out += concat(out.empty() ? "one of " : ", ", name);
    if (low_ > -infinity) out += concat(low_is_allowed_ ? "at least " : "above ", low_);
    if (high_ < infinity) out += concat(out.empty() ? "" : " and ", high_is_allowed_ ? "at most " : "below ", high_);
    if (exception_) out += concat(" or exactly ", *exception_);
    return out;
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  double low_ = -infinity, high_ = infinity;
  bool low_is_allowed_ = false, high_is_allowed_ = false;
  std::optional<double> exception_;
  std::array<std::string_view, 6> names_;  // not a vector: trivial to copy, and so cheap to compile at sixty call sites
  std::size_t count_ = 0;
};

inline Check at_least(double low) {
  return Check().at_least(low);
}
inline Check above(double low) {
  return Check().above(low);
}
inline Check one_of(std::initializer_list<std::string_view> names) {
  return Check().one_of(names);
}

}  // namespace ashlar::inline v0
