// Tokens would never reach the experts of other ranks.
// expect: write AllToAll, or leave the dispatcher out.
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, AllToAll>>, Parallel<ep>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, LocalDispatch>>, Parallel<ep>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
