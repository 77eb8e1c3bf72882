// Definitions of plan.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <fmt/core.h>

#include "ashlar/program/plan.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string to_text(const Plan& plan) {
  const auto bytes = [](std::size_t n) { return bytes_text(static_cast<std::int64_t>(n)); };
  const Degrees& d = plan.degrees;
  std::string out =
      fmt::format("{} parameters on {} ranks: pp {} x dp_replicate {} x dp_shard {} x tp {}, ep {}\n",
                  grouped_text(plan.parameters), plan.world_size, d.pp, d.dp_replicate, d.dp_shard, d.tp, d.ep);
  for (const RankPlan& r : plan.ranks) {
    out += fmt::format("stage {}, each rank: {} = {} of parameters, gradients and states + {} of activations", r.pp,
                       bytes(r.persistent_bytes + r.arena_bytes), bytes(r.persistent_bytes), bytes(r.arena_bytes));
    if (r.worst_arena_bytes > r.arena_bytes)
      out += fmt::format(" ({} if all tokens are routed here)", bytes(r.worst_arena_bytes));
    out += fmt::format("; {:.2f} TFLOP a step\n", r.flops / 1e12);
    for (const auto& [axis, t] : r.traffic.axes)
      if (t.messages > 0)
        out += fmt::format("  {}: {} sent a step in {} messages\n", axis, bytes(static_cast<std::size_t>(t.bytes)),
                           t.messages);
  }
  return out;
}

ASHLAR_ONCE std::string to_json(const Plan& plan) {
  const Degrees& d = plan.degrees;
  std::string ranks;
  for (const RankPlan& r : plan.ranks) {
    std::string traffic;
    for (const auto& [axis, t] : r.traffic.axes)
      traffic += fmt::format(R"({}"{}": {{"messages": {}, "bytes": {}}})", traffic.empty() ? "" : ", ", axis,
                             t.messages, t.bytes);
    ranks +=
        fmt::format(R"({}{{"rank": {}, "pp": {}, "persistent_bytes": {}, "arena_bytes": {}, )"
                    R"("worst_arena_bytes": {}, "memory_bytes": {}, "flops": {}, "memory_traffic_bytes": {}, )"
                    R"("traffic": {{{}}}}})",
                    ranks.empty() ? "" : ", ", r.rank, r.pp, r.persistent_bytes, r.arena_bytes, r.worst_arena_bytes,
                    r.persistent_bytes + r.arena_bytes, concat(r.flops), concat(r.memory_traffic_bytes), traffic);
  }
  return fmt::format(R"({{"parameters": {}, "world_size": {}, "degrees": {{"pp": {}, "dp_replicate": {}, )"
                     R"("dp_shard": {}, "tp": {}, "ep": {}}}, "ranks": [{}]}})",
                     static_cast<std::int64_t>(plan.parameters), plan.world_size, d.pp, d.dp_replicate, d.dp_shard,
                     d.tp, d.ep, ranks);
}

}  // namespace ashlar::inline v0
