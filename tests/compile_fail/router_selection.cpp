// A score function where a selection belongs.
// expect: TopK<Score, ...> takes ByScore or InTurn.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = TopK<Softmax, InTurn>;
#else
using Choice = TopK<Softmax, Sigmoid>;
#endif
constexpr auto size = sizeof(Choice);
