// The whole library, for users. Library files include what they use instead.
// Read next: program/main.hpp for programs, train/trainer.hpp for loops of your own, docs/one_training_step.md for the
// way in.
#pragma once

#include "ashlar/comm/local.hpp"
#include "ashlar/program/main.hpp"
#include "ashlar/report/observers.hpp"
#if ASHLAR_COMPILED
#include "ashlar/instances.hpp"
#include "ashlar/ops/cpu_instances.hpp"
#include "ashlar/program/plan_instances.hpp"
#include "ashlar/program/plan_instances_of_experts.hpp"
#endif
