// For ashlar_compile: plans of the library's models.
#include "ashlar/train/plan_instances.hpp"
