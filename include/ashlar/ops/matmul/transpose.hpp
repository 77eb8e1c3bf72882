// Whether a matrix operand is read transposed.
#pragma once

namespace ashlar::inline v0::ops {

enum class Transpose : bool { no, yes };

}  // namespace ashlar::inline v0::ops
