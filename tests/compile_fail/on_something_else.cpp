// A strategy's degree where a device belongs.
// expect: On<...> takes Cpu or Cuda.
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

#ifdef GOOD
using Choice = On<Cuda>;
#else
using Choice = On<int>;
#endif
constexpr auto size = sizeof(Choice);
