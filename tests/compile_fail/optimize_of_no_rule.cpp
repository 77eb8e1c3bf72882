// A schedule's name where a rule's belongs.
// expect: Optimize<...> takes rules such as AdamW, Adam, Muon
#include "ashlar/optim/lr_schedule.hpp"
#include "ashlar/optim/optimize.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Optimize<Muon, AdamW>;
#else
using Choice = Optimize<Muon, LrSchedule>;
#endif
constexpr auto size = sizeof(Choice);
