// The experts stand where the router belongs.
// expect: the first argument is a router policy, such as TopK<Softmax>, with a Module<E> template.
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<Softmax>, GroupedGemm<>>>>;
#else
using Choice = Recipe<Ffn<MoE<GroupedGemm<>>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
