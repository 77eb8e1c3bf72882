// To keep everything is a mode, too.
// expect: ActivationCheckpoint<> needs at least one of None, Selective, Full.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = ActivationCheckpoint<None>;
#else
using Choice = ActivationCheckpoint<>;
#endif
constexpr auto size = sizeof(Choice);
