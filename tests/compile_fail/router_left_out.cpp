// The experts stand where the router belongs.
// expect: the first argument is a router policy, such as TopK<Softmax>, with a Module<E> template.
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<Softmax>, GroupedGemm<>>>>;
#else
using Choice = Recipe<Ffn<MoE<GroupedGemm<>>>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
