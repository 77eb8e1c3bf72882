// Which of two feed-forwards would it be? A table of layers picks dense blocks, not a recipe.
// expect: Recipe<...> has two Ffn<> policies; keep one.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<>>>;
#else
using Choice = Recipe<Ffn<SwiGlu>, Ffn<MoE<>>>;
#endif
constexpr auto size = sizeof(Choice);
