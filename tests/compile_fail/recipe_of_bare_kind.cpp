// A kind is not a policy: its wrapper says what it is for.
// expect: wrap a bare kind, as in Attn<Sdpa>.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Attn<Sdpa>>;
#else
using Choice = Recipe<Sdpa>;
#endif
constexpr auto size = sizeof(Choice);
