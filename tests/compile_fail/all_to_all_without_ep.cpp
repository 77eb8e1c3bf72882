// Tokens would be sent to where no experts are.
// expect: add the strategy, as in Parallel<fsdp * ep>.
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, AllToAll>>, Parallel<fsdp * ep>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, AllToAll>>, Parallel<fsdp>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
