// Plans of the library's families with experts, compiled once, as program/plan_instances.hpp has those of the others.
#pragma once

#include "ashlar/models/deepseek_v3/deepseek_v3.hpp"
#include "ashlar/models/llama4/llama4.hpp"
#include "ashlar/models/qwen3/qwen3.hpp"
#include "ashlar/program/plan_of.hpp"

namespace ashlar::inline v0 {

ASHLAR_INSTANCE Plan make_plan<detail::PlanOf<ep, Family<Qwen3>>>(const Config&, DType);
ASHLAR_INSTANCE Plan make_plan<detail::PlanOf<ep, Family<DeepSeekV3>>>(const Config&, DType);
ASHLAR_INSTANCE Plan make_plan<detail::PlanOf<ep, Family<Llama4>>>(const Config&, DType);

}  // namespace ashlar::inline v0
