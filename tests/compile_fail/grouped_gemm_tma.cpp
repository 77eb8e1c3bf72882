// The fast kernels are not there yet.
// expect: GroupedGemm<Tma> needs the Hopper kernels
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Plain>>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Tma>>>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
