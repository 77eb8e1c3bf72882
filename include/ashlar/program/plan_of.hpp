// PlanOf: the model that a plan of the library's own recipes is made with. Read next: program/plan_instances.hpp.
#pragma once

#include "ashlar/program/plan.hpp"

namespace ashlar::inline v0::detail {

/// The model that plan_recipe plans for recipes of these policies with every checkpointing mode.
template <Strategies S, class... P>
using PlanOf =
    ModelOf<PlannedRecipe<Recipe<P..., Parallel<S>, ActivationCheckpoint<None, Selective, Full>>>, Meta, MetaFloat>;

}  // namespace ashlar::inline v0::detail
