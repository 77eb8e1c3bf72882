// The target that counts for nothing. Used by the data that makes targets and by ops/cross_entropy/cross_entropy.hpp.
#pragma once

#include <cstdint>

namespace ashlar::inline v0::ops {

inline constexpr std::int32_t ignore_index = -100;

}  // namespace ashlar::inline v0::ops
