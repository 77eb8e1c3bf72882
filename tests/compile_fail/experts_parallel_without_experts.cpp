// Experts are spread, but there are none.
// expect: spreads experts, but the recipe has none; write Ffn<MoE<...>> or leave ep out.
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<>>, Parallel<fsdp * ep>>;
#else
using Choice = Recipe<Ffn<SwiGlu>, Parallel<fsdp * ep>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
