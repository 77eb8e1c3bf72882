// Something must be computed in.
// expect: Precision<> needs at least one of F32, Bf16, F64.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Precision<F64>;
#else
using Choice = Precision<>;
#endif
constexpr auto size = sizeof(Choice);
