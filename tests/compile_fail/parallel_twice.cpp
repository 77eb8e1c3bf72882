// Strategies compose inside one policy.
// expect: Recipe<...> has two Parallel<> policies; compose strategies in one, as in Parallel<fsdp * tp>.
#include "ashlar/core/recipe.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Parallel<fsdp * tp>>;
#else
using Choice = Recipe<Parallel<fsdp>, Parallel<tp>>;
#endif
constexpr auto size = sizeof(Choice);
