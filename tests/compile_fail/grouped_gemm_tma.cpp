// The fast kernels are not there yet.
// expect: GroupedGemm<Tma> needs the Hopper kernels
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Plain>>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Tma>>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
