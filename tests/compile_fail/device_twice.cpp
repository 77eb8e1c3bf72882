// A model runs on one device.
// expect: Recipe<...> has two On<> policies; keep one.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = Recipe<On<Cuda>>;
#else
using Choice = Recipe<On<Cpu>, On<Cuda>>;
#endif
constexpr auto size = sizeof(Choice);
