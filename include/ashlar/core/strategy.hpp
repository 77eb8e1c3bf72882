// Strategy tags and mesh axes. `fsdp * tp` is a value of type Strategies: the set that a recipe compiles in.
// What each does is in parallel/; their degrees are run-time configuration. Read next: core/recipe.hpp.
#pragma once

#include <string>
#include <string_view>

namespace ashlar::inline v0 {

/// The axes of the mesh, outermost first. `ep` and `efsdp` re-divide the ranks of dp_shard x cp x tp for experts.
enum class Axis { pp, dp_replicate, dp_shard, cp, tp, efsdp, ep };

constexpr std::string_view to_string(Axis axis) {
  constexpr std::string_view names[] = {"pp", "dp_replicate", "dp_shard", "cp", "tp", "efsdp", "ep"};
  return names[static_cast<int>(axis)];
}

/// A set of strategies, composed with `*` (the order says nothing).
struct Strategies {
  unsigned bits = 0;

  constexpr bool contains(Strategies other) const { return (bits & other.bits) == other.bits; }
  friend constexpr Strategies operator*(Strategies a, Strategies b) { return {a.bits | b.bits}; }
  friend constexpr bool operator==(Strategies, Strategies) = default;
};

inline constexpr Strategies single{0};  // one rank: no strategy
inline constexpr Strategies ddp{1};     // replicated parameters, gradients all-reduced over dp_replicate
inline constexpr Strategies fsdp{2};    // parameters, gradients and optimizer states sharded over dp_shard
inline constexpr Strategies tp{4};      // tensor and sequence parallel over tp
inline constexpr Strategies pp{8};      // pipeline stages over pp
inline constexpr Strategies ep{16};     // experts spread over ep

/// "fsdp * tp", for messages.
inline std::string to_string(Strategies s) {
  std::string out;
  constexpr std::string_view names[] = {"ddp", "fsdp", "tp", "pp", "ep"};
  for (int i = 0; i < 5; ++i)
    if (s.bits >> i & 1u) out += (out.empty() ? "" : " * ") + std::string(names[i]);
  return out.empty() ? "single" : out;
}

}  // namespace ashlar::inline v0
