// A compute type where a kernel belongs.
// expect: GroupedGemm<...> takes nothing, Plain, or Tma.
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<>>>>;
#else
using Choice = Recipe<Ffn<MoE<TopK<>, GroupedGemm<Bf16>>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
