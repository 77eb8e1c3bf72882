// A compute type where a kernel belongs.
// expect: GroupedGemm<...> takes nothing, or Tma.
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Bf16>>>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
