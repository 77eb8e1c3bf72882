// Weights are multiplied in floating point.
// expect: Precision<...> takes F32, Bf16 and F64 only.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Precision<F32>;
#else
using Choice = Precision<int>;
#endif
constexpr auto size = sizeof(Choice);
