// One flag value would name two modes.
// expect: ActivationCheckpoint<...> names a mode twice; name each once.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = ActivationCheckpoint<None, Full>;
#else
using Choice = ActivationCheckpoint<Full, Full>;
#endif
constexpr auto size = sizeof(Choice);
