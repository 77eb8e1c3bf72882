// A kernel where the experts belong.
// expect: the second argument is an experts policy, such as GroupedGemm<>
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, Plain>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
