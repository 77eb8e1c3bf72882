// A mask alone is no attention kind.
// expect: a mask of your own goes inside, as in Attn<Flex<MyMask>>.
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Attn<Flex<BlockCausal>>>;
#else
using Choice = Recipe<Attn<BlockCausal>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
