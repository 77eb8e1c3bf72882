// Two policies of one kind.
// expect: Recipe<...> has two Weights<> policies; keep one.
#include "ashlar/models/transformer.hpp"
#include "ashlar/nn/low_rank.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Weights<LowRank>>;
#else
using Choice = Recipe<Weights<LowRank>, Weights<PlainWeights>>;
#endif
constexpr auto size = sizeof(Choice);
