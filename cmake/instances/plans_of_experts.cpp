// For ashlar_compile: plans of the library's families with experts.
#include "ashlar/program/plan_instances_of_experts.hpp"
