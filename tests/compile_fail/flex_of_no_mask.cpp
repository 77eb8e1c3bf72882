// A kind where a mask belongs.
// expect: need a mask: a struct with State, needs_documents, visible, keys and all_visible
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Attn<Flex<Causal>>>;
#else
using Choice = Recipe<Attn<Flex<Sdpa>>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
