// Plans of the library's models, compiled once: their recipes need not compile the modules on Meta, a quarter of their
// compile time. A recipe with policies of its own plans as well, and compiles that itself. See ashlar/instances.hpp.
#pragma once

#include "ashlar/models/debug_moe/debug_moe.hpp"
#include "ashlar/models/llama3/llama3.hpp"
#include "ashlar/program/plan_of.hpp"

namespace ashlar::inline v0 {

ASHLAR_INSTANCE Plan make_plan<detail::PlanOf<single, Family<Llama3>, Attn<Sdpa>, Ffn<SwiGlu>>>(const Config&, DType);
ASHLAR_INSTANCE Plan
make_plan<detail::PlanOf<ep, Family<DebugMoe>, Attn<Flex<BlockCausal>>, Ffn<MoE<TopK<Sigmoid>, GroupedGemm<>>>>>(
    const Config&, DType);

}  // namespace ashlar::inline v0
