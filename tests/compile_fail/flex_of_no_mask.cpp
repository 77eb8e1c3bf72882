// A kind where a mask belongs.
// expect: need a mask: a struct with State, needs_documents, visible, keys and all_visible
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Attn<Flex<Causal>>>;
#else
using Choice = Recipe<Attn<Flex<Sdpa>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
