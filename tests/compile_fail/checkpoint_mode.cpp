// A compute type in the list of checkpointing modes.
// expect: ActivationCheckpoint<...> takes None, Selective and Full only.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = ActivationCheckpoint<Full>;
#else
using Choice = ActivationCheckpoint<Bf16>;
#endif
constexpr auto size = sizeof(Choice);
