// The subcommand plan: one training step of any size on any number of ranks, on the device without storage and the
// communicator that counts. Parameters, memory and traffic a rank, in seconds, on a laptop.
// Read next: device/meta.hpp, comm/fake.hpp.
#pragma once

#include <string>
#include <vector>

#include "ashlar/comm/fake.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/models/transformer.hpp"
#include "ashlar/report/progress.hpp"
#include "ashlar/train/trainer.hpp"

namespace ashlar::inline v0 {

/// What one rank of a pipeline stage needs for a step.
struct RankPlan {
  int rank = 0, pp = 0;
  std::size_t persistent_bytes = 0, arena_bytes = 0;
  std::size_t worst_arena_bytes = 0;  // where routing decides sizes: all tokens to this rank's experts
  double flops = 0, memory_traffic_bytes = 0;
  FakeCounts traffic;  // by axis
};

struct Plan {
  double parameters = 0;
  Degrees degrees;
  int world_size = 1;
  std::vector<RankPlan> ranks;  // one a pipeline stage: the others of the stage are alike
};

/// M's device is Meta. Where its compute type is MetaFloat, `compute` says what it stands for.
template <class M>
Plan make_plan(const Config& config, DType compute = DType::f32) {
  using E = typename M::Environment;
  static_assert(std::is_same_v<typename E::Device, Meta>);
  Plan plan;
  plan.world_size = static_cast<int>(planned_world_size(config));
  plan.degrees = compiled_degrees<M>(degrees_of(config.parallelism), plan.world_size);
  for (int p = 0; p < plan.degrees.pp; ++p) {
    RankPlan r;
    r.pp = p;
    r.rank = rank_of(plan.degrees, {.pp = p});
    for (const Routing routing : {Routing::balanced, Routing::worst}) {
      auto counts = std::make_shared<FakeCounts>();
      Trainer<M> trainer(config, Fake::world(r.rank, plan.world_size, counts, compute));
      trainer.assume_routing(routing);
      *counts = {};
      trainer.queue().total = {};
      trainer.step(trainer.empty_batch());
      if (routing == Routing::worst) {
        r.worst_arena_bytes = trainer.memory().arenas();
        continue;
      }
      r.persistent_bytes = trainer.memory().persistent();
      r.arena_bytes = r.worst_arena_bytes = trainer.memory().arenas();
      r.flops = trainer.queue().total.flops;
      r.memory_traffic_bytes = trainer.queue().total.bytes;
      r.traffic = *counts;
      plan.parameters += trainer.parameter_count();
      if (!E::has(ep)) break;
    }
    plan.ranks.push_back(std::move(r));
  }
  return plan;
}

namespace detail {
template <class R>
using PlannedStrategies = Parallel<R::strategies.contains(ep) ? ddp * fsdp * tp * pp * ep : ddp * fsdp * tp * pp>;

template <class R, class F>
struct Planned {
  using type = Recipe<Family<F>, AttentionOf<R>, FeedForwardOf<R>, Weights<typename R::MatrixWeights>,
                      PlannedStrategies<R>, typename R::Checkpointing, OptimizeOf<R>>;
};
template <class R, class F>
requires requires {
  typename F::template Model<Environment<Meta, MetaFloat, single>, R>;
}
struct Planned<R, F> {
  using type = Recipe<Family<F>, Weights<typename R::MatrixWeights>, PlannedStrategies<R>, typename R::Checkpointing,
                      OptimizeOf<R>>;
};
}  // namespace detail

/// What a plan of R is made with: R's model with every strategy, because degrees say which of them act. So recipes of
/// one model share a plan, and those of program/plan_instances.hpp are compiled once. Experts stay on their rank where
/// R keeps them there: that is another dispatcher.
template <AnyRecipe R>
using PlannedRecipe = typename detail::Planned<R, detail::FamilyOf<R>>::type;

/// The plan of a run of R in compute type T. Throws ConfigError for degrees whose strategy R does not compile in.
template <AnyRecipe R, class T>
Plan plan_recipe(const Config& config) {
  // One set of modules for all compute types whose master type is float.
  using Planned = std::conditional_t<std::is_same_v<T, F64>, F64, MetaFloat>;
  Config resolved = config;
  resolved.parallelism = with_degrees(
      config.parallelism, compiled_degrees<ModelOf<R, Meta, Planned>>(degrees_of(config.parallelism),
                                                                      static_cast<int>(planned_world_size(config))));
  return make_plan<ModelOf<PlannedRecipe<R>, Meta, Planned>>(resolved, dtype_of<T>);
}

/// The plan as a table for people.
std::string to_text(const Plan& plan);

/// One JSON object: "parameters", "world_size", "degrees", and "ranks" with bytes, operations and traffic.
std::string to_json(const Plan& plan);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/plan.ipp"
#endif
