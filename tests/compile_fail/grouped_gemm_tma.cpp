// Instructions of a GPU, on the host.
// expect: GroupedGemm<Tma> is made of a GPU's instructions; write On<Cuda> beside it
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Plain>>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Tma>>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
