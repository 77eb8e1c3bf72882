// The subcommand plan: one training step of any size on any number of ranks, on the device without storage and the
// communicator that counts. Parameters, memory and traffic a rank, in seconds, on a laptop.
// Read next: device/meta.hpp, comm/fake.hpp.
#pragma once

#include <string>
#include <vector>

#include "ashlar/comm/fake.hpp"
#include "ashlar/models/transformer.hpp"
#include "ashlar/train/progress.hpp"
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
  using type = Recipe<Family<F>, AttentionOf<R>, FeedForwardOf<R>, PlannedStrategies<R>, typename R::Checkpointing>;
};
template <class R, class F>
requires requires {
  typename F::template Model<Environment<Meta, MetaFloat, single>, R>;
}
struct Planned<R, F> {
  using type = Recipe<Family<F>, PlannedStrategies<R>, typename R::Checkpointing>;
};
}  // namespace detail

/// What a plan of R is made with: R's model with every strategy, because degrees say which of them act. So recipes of
/// one model share a plan, and those of train/plan_instances.hpp are compiled once. Experts stay on their rank where R
/// keeps them there: that is another dispatcher.
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
template <class CompiledOnce = void>
std::string to_text(const Plan& plan) {
  const auto bytes = [](std::size_t n) { return bytes_text(static_cast<std::int64_t>(n)); };
  const Degrees& d = plan.degrees;
  std::string out =
      concat(grouped_text(plan.parameters), " parameters on ", plan.world_size, " ranks: pp ", d.pp, " x dp_replicate ",
             d.dp_replicate, " x dp_shard ", d.dp_shard, " x tp ", d.tp, ", ep ", d.ep, "\n");
  for (const RankPlan& r : plan.ranks) {
    out += concat("stage ", r.pp, ", each rank: ", bytes(r.persistent_bytes + r.arena_bytes), " = ",
                  bytes(r.persistent_bytes), " of parameters, gradients and states + ", bytes(r.arena_bytes),
                  " of activations");
    if (r.worst_arena_bytes > r.arena_bytes)
      out += concat(" (", bytes(r.worst_arena_bytes), " if all tokens are routed here)");
    out += concat("; ", detail::fixed(r.flops / 1e12, 2), " TFLOP a step\n");
    for (const auto& [axis, t] : r.traffic.axes)
      if (t.messages > 0)
        out += concat("  ", axis, ": ", bytes(static_cast<std::size_t>(t.bytes)), " sent a step in ", t.messages,
                      " messages\n");
  }
  return out;
}

/// One JSON object: "parameters", "world_size", "degrees", and "ranks" with bytes, operations and traffic.
template <class CompiledOnce = void>
std::string to_json(const Plan& plan) {
  const Degrees& d = plan.degrees;
  std::string out =
      concat("{\"parameters\": ", static_cast<std::int64_t>(plan.parameters), ", \"world_size\": ", plan.world_size,
             ", \"degrees\": {\"pp\": ", d.pp, ", \"dp_replicate\": ", d.dp_replicate, ", \"dp_shard\": ", d.dp_shard,
             ", \"tp\": ", d.tp, ", \"ep\": ", d.ep, "}, \"ranks\": [");
  bool first = true;
  for (const RankPlan& r : plan.ranks) {
    out += concat(first ? "" : ", ", "{\"rank\": ", r.rank, ", \"pp\": ", r.pp,
                  ", \"persistent_bytes\": ", r.persistent_bytes, ", \"arena_bytes\": ", r.arena_bytes,
                  ", \"worst_arena_bytes\": ", r.worst_arena_bytes,
                  ", \"memory_bytes\": ", r.persistent_bytes + r.arena_bytes, ", \"flops\": ", r.flops,
                  ", \"memory_traffic_bytes\": ", r.memory_traffic_bytes, ", \"traffic\": {");
    bool first_axis = true;
    for (const auto& [axis, t] : r.traffic.axes) {
      out +=
          concat(first_axis ? "" : ", ", "\"", axis, "\": {\"messages\": ", t.messages, ", \"bytes\": ", t.bytes, "}");
      first_axis = false;
    }
    out += "}}";
    first = false;
  }
  return out + "]}";
}

}  // namespace ashlar::inline v0
