// For ashlar_compile: what no recipe changes (ashlar/instances.hpp).
#include "ashlar/instances.hpp"
