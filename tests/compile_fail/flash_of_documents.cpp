// The mask of documents has state.
// expect: a mask that needs documents goes into Flex, as in Flex<BlockCausal>.
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Attn<Flex<BlockCausal>>>;
#else
using Choice = Recipe<Attn<Flash<BlockCausal>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
