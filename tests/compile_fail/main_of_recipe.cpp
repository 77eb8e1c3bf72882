// A recipe says how; a model says what.
// expect: ashlar::main<Model> takes a model, as in ashlar::main<Transformer<MyRecipe>>.
#include "ashlar/program/main.hpp"
using namespace ashlar;

struct Mine : Recipe<Attn<Flash<>>> {};

#ifdef GOOD
using Choice = Transformer<Mine>;
#else
using Choice = Mine;
#endif
auto* program = &ashlar::main<Choice>;
