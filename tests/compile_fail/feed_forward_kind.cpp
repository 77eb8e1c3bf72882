// A router alone is no feed-forward.
// expect: Ffn<...> takes SwiGlu or MoE<Router, Experts>.
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>>>>;
#else
using Choice = Recipe<Ffn<TopK<>>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
