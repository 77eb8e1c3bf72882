// A kind is not a policy: its wrapper says what it is for.
// expect: wrap a bare kind, as in Attn<Sdpa>.
#include "ashlar/program/main.hpp"
using namespace ashlar;

#ifdef GOOD
using Model = Transformer<Attn<Sdpa>>;
#else
using Model = Transformer<Sdpa>;
#endif
using Choice = Model::Recipe;
