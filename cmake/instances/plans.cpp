// For ashlar_compile: plans of the library's models.
#include "ashlar/program/plan_instances.hpp"
