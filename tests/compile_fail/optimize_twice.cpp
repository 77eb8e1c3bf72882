// Two lists of rules.
// expect: Recipe<...> has two Optimize<> policies; list the rules in one.
#include "ashlar/optim/optimize.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Optimize<Muon, AdamW>>;
#else
using Choice = Recipe<Optimize<Muon>, Optimize<AdamW>>;
#endif
constexpr auto size = sizeof(Choice);
