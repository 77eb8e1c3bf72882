// The library ashlar::compiled: what no recipe changes (ashlar/instances.hpp).
#include "ashlar/instances.hpp"
