// A strategy says where experts are; who moves the tokens is a type.
// expect: the dispatcher is LocalDispatch or AllToAll.
#include "ashlar/models/decoder.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, LocalDispatch>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, Full>>>;
#endif
constexpr auto size = sizeof(DecoderStage<Environment<Choice, Cpu, F32>>);
