// The target that counts for nothing.
#pragma once

#include <cstdint>

namespace ashlar::inline v0::ops {

inline constexpr std::int32_t ignore_index = -100;

}  // namespace ashlar::inline v0::ops
