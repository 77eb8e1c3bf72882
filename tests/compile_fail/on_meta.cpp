// Meta has no storage.
// expect: Meta has no storage to train with and always comes along; write On<Cpu> or On<Cuda>.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = On<Cpu>;
#else
using Choice = On<Meta>;
#endif
constexpr auto size = sizeof(Choice);
