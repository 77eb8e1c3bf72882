// Tokens would be sent to where no experts are.
// expect: add the strategy, as in Parallel<fsdp * ep>.
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, AllToAll>>, Parallel<fsdp * ep>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, AllToAll>>, Parallel<fsdp>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
