// Alternatives stand in one list.
// expect: Recipe<...> has two ActivationCheckpoint<> policies; list the modes in one.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<ActivationCheckpoint<None, Full>>;
#else
using Choice = Recipe<ActivationCheckpoint<None>, ActivationCheckpoint<Full>>;
#endif
constexpr auto size = sizeof(Choice);
