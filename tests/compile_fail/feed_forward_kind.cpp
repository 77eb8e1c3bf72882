// A router alone is no feed-forward.
// expect: Ffn<...> takes SwiGlu, MoE<Router, Experts>, or a kind of your own
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>>>>;
#else
using Choice = Recipe<Ffn<TopK<>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
