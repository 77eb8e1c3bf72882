// Alternatives stand in one list.
// expect: Recipe<...> has two Precision<> policies; list the types in one.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Precision<F32, Bf16>>;
#else
using Choice = Recipe<Precision<F32>, Precision<Bf16>>;
#endif
constexpr auto size = sizeof(Choice);
