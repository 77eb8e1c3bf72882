// A kind where a score function belongs.
// expect: TopK<...> takes Softmax or Sigmoid.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = TopK<Sigmoid>;
#else
using Choice = TopK<Sdpa>;
#endif
constexpr auto size = sizeof(Choice);
