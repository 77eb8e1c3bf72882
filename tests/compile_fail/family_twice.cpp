// A model is of one family.
// expect: Recipe<...> has two Family<> policies; keep one.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Family<Llama3>>;
#else
using Choice = Recipe<Family<Llama3>, Family<Llama3>>;
#endif
constexpr auto size = sizeof(Choice);
