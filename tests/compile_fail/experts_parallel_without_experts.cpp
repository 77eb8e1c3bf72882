// Experts are spread, but there are none.
// expect: spreads experts, but the recipe has none; write Ffn<MoE<...>> or leave ep out.
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<>>, Parallel<fsdp * ep>>;
#else
using Choice = Recipe<Ffn<SwiGlu>, Parallel<fsdp * ep>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
