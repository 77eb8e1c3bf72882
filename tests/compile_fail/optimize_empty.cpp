// A recipe that names the policy and no rule.
// expect: Optimize<> needs at least one rule, as in Optimize<AdamW>.
#include "ashlar/optim/optimize.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Optimize<AdamW>;
#else
using Choice = Optimize<>;
#endif
constexpr auto size = sizeof(Choice);
