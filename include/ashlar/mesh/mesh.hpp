// Mesh: the world's ranks laid out along the axes of parallelism, and a communicator for each axis. Strategies, units
// and the trainer ask it who they talk to. Read next: parallel/unit.hpp.
#pragma once

#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/strategy.hpp"

namespace ashlar::inline v0 {

/// How many ways each axis divides the ranks. pp * dp_replicate * dp_shard * cp * tp is the size of the world;
/// dp_shard = -1 is whatever is left. ep takes no ranks: it re-divides those of dp_shard * cp * tp.
struct Degrees {
  int pp = 1, dp_replicate = 1, dp_shard = -1, cp = 1, tp = 1, ep = 1;
  friend bool operator==(const Degrees&, const Degrees&) = default;
};

/// Where a rank stands on each axis.
struct Coordinates {
  int pp = 0, dp_replicate = 0, dp_shard = 0, cp = 0, tp = 0;
  int efsdp = 0, ep = 0;  // the same place in (dp_shard, cp, tp), as experts see it
  friend bool operator==(const Coordinates&, const Coordinates&) = default;
};

/// The degrees with dp_shard filled in. Throws ConfigError, naming the flag to change, where they do not fit the world.
Degrees resolve_degrees(Degrees degrees, int world_size);

/// The rank at a place; row-major in the order pp, dp_replicate, dp_shard, cp, tp, so that tp ranks are neighbours.
/// `at.efsdp` and `at.ep` are not read. The degrees are resolved.
constexpr int rank_of(const Degrees& d, const Coordinates& at) {
  return (((at.pp * d.dp_replicate + at.dp_replicate) * d.dp_shard + at.dp_shard) * d.cp + at.cp) * d.tp + at.tp;
}

/// The place of a rank. Within dp_shard * cp * tp, ep is innermost: the ranks of an ep group are neighbours.
constexpr Coordinates coordinates_of(const Degrees& d, int rank) {
  const int inner = rank % (d.dp_shard * d.cp * d.tp);
  Coordinates at;
  at.tp = rank % d.tp;
  at.cp = rank / d.tp % d.cp;
  at.dp_shard = rank / (d.tp * d.cp) % d.dp_shard;
  at.dp_replicate = rank / (d.tp * d.cp * d.dp_shard) % d.dp_replicate;
  at.pp = rank / (d.tp * d.cp * d.dp_shard * d.dp_replicate);
  at.efsdp = inner / d.ep;
  at.ep = inner % d.ep;
  return at;
}

/// One rank's view of the mesh. Its groups exchange what the world's do: host memory, and the memory of a device where
/// the world has a backend for it (comm/world.hpp). Making one is collective over the world; copies share the groups.
/// Groups of one cost nothing: their communicator is the default one.
class Mesh {
 public:
  /// A world of one rank.
  Mesh() : Mesh(Degrees{}, Communicator()) {}
  /// Throws ConfigError where the degrees do not fit the world.
  Mesh(const Degrees& degrees, Communicator world);

  const Degrees& degrees() const { return degrees_; }
  const Coordinates& coordinates() const { return here_; }
  /// How many ranks there are along the axis, and which of them this one is.
  int degree(Axis axis) const { return degree(degrees_, axis); }
  int coordinate(Axis axis) const { return coordinate(here_, axis); }
  /// The ranks that differ from this one on that axis alone; the rank in it is coordinate(axis).
  Communicator group(Axis axis) const { return groups_[static_cast<std::size_t>(axis)]; }

  Communicator world() const { return world_; }
  /// dp_replicate x dp_shard x cp: sums of losses and of valid tokens.
  Communicator data() const { return data_; }
  /// dp_replicate x dp_shard x cp x tp, all ranks of a pipeline stage: counts of tokens an expert was given.
  Communicator data_and_tensor() const { return data_and_tensor_; }

  /// Which part of the batch this rank reads, of how many: row-major over dp_replicate x dp_shard.
  int dp_rank() const { return here_.dp_replicate * degrees_.dp_shard + here_.dp_shard; }
  int dp_degree() const { return degrees_.dp_replicate * degrees_.dp_shard; }

  static constexpr int degree(const Degrees& d, Axis axis) {
    const int all[] = {d.pp, d.dp_replicate, d.dp_shard, d.cp, d.tp, d.dp_shard * d.cp * d.tp / d.ep, d.ep};
    return all[static_cast<int>(axis)];
  }
  static constexpr int coordinate(const Coordinates& at, Axis axis) {
    const int all[] = {at.pp, at.dp_replicate, at.dp_shard, at.cp, at.tp, at.efsdp, at.ep};
    return all[static_cast<int>(axis)];
  }
  /// The ranks whose places differ from that of `rank` on these axes at most, ascending. Axes are of one view: efsdp
  /// and ep do not mix with dp_shard, cp and tp.
  static std::vector<int> members(const Degrees& degrees, int rank, std::span<const Axis> varying);

 private:
  static constexpr int axes = 7;
  Communicator make_group(std::span<const Axis> varying, const std::string& name) {
    return world_.group(members(degrees_, world_.rank(), varying), name);
  }

  Degrees degrees_;
  Coordinates here_;
  Communicator world_, data_, data_and_tensor_;
  std::array<Communicator, axes> groups_;
};

inline std::vector<int> Mesh::members(const Degrees& degrees, int rank, std::span<const Axis> varying) {
  using enum Axis;
  constexpr Axis dense[] = {pp, dp_replicate, dp_shard, cp, tp}, expert[] = {pp, dp_replicate, efsdp, ep};
  const bool of_experts = std::ranges::any_of(varying, [](Axis axis) { return axis == efsdp || axis == ep; });
  const std::span<const Axis> view = of_experts ? std::span<const Axis>(expert) : std::span<const Axis>(dense);
  // Both views are row-major over the same ranks: an axis's stride is the product of the degrees further in.
  std::vector<int> ranks{rank};
  int stride = 1;
  for (std::size_t i = view.size(); i-- > 0;) {
    const int n = degree(degrees, view[i]), at = rank / stride % n;
    if (std::ranges::find(varying, view[i]) != varying.end()) {
      std::vector<int> wider;
      for (int k = 0; k < n; ++k)
        for (int r : ranks) wider.push_back(r + (k - at) * stride);
      ranks = std::move(wider);
    }
    stride *= n;
  }
  return ranks;
}

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/mesh/mesh.ipp"
#endif
