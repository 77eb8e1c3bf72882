// A kernel where the experts belong.
// expect: the second argument is GroupedGemm<> or GroupedGemm<Tma>.
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, Plain>>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
