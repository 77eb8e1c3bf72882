// Definitions of plan.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/program/plan.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string to_text(const Plan& plan) {
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

ASHLAR_ONCE std::string to_json(const Plan& plan) {
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
