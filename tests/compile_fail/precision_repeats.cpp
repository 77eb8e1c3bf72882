// One flag value would name two types.
// expect: Precision<...> names a type twice; name each once.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Precision<F32, Bf16>;
#else
using Choice = Precision<F32, float>;
#endif
constexpr auto size = sizeof(Choice);
