// Which of two attention kinds would it be?
// expect: Recipe<...> has two Attn<> policies; keep one.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Attn<Sdpa>>;
#else
using Choice = Recipe<Attn<Sdpa>, Attn<Flash<>>>;
#endif
constexpr auto size = sizeof(Choice);
