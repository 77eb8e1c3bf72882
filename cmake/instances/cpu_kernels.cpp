// For ashlar_compile: the kernels of the Cpu device.
#include "ashlar/ops/cpu_instances.hpp"
