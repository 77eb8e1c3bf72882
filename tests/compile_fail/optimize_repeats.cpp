// One name would mean two rules.
// expect: Optimize<...> names a rule twice
#include "ashlar/optim/optimize.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Optimize<AdamW, Adam>;
#else
using Choice = Optimize<AdamW, AdamW>;
#endif
constexpr auto size = sizeof(Choice);
