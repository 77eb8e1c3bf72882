// A strategy says where experts are; who moves the tokens is a type.
// expect: the third argument is a dispatcher policy: LocalDispatch, AllToAll, or one of
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, LocalDispatch>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>, Full>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
