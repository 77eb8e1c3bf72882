// Definitions of mesh.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/mesh/mesh.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE Degrees resolve_degrees(Degrees degrees, int world_size) {
  struct Flag {
    std::string_view name;
    int degree;
  };
  const Flag pipeline{"--parallelism.pipeline_parallel_degree", degrees.pp};
  const Flag replicate{"--parallelism.data_parallel_replicate_degree", degrees.dp_replicate};
  const Flag context{"the degree cp", degrees.cp};
  const Flag tensor{"--parallelism.tensor_parallel_degree", degrees.tp};
  const Flag expert{"--parallelism.expert_parallel_degree", degrees.ep};
  const std::string_view shard = "--parallelism.data_parallel_shard_degree";
  for (const Flag& flag : {pipeline, replicate, context, tensor, expert})
    if (flag.degree < 1) throw ConfigError(concat(flag.name, " is ", flag.degree, "; a degree is at least 1."));
  if (degrees.dp_shard < 1 && degrees.dp_shard != -1)
    throw ConfigError(concat(shard, " is ", degrees.dp_shard,
                             "; it is at least 1, or -1 for all ranks that the other degrees leave."));

  index_t others = 1;
  std::string product;
  for (const Flag& flag : {pipeline, replicate, context, tensor}) {
    if (flag.name == context.name && flag.degree == 1) continue;  // no flag sets it yet
    others *= flag.degree;
    product += concat(product.empty() ? "" : ", ", flag.name, " ", flag.degree);
    if (others > std::numeric_limits<int>::max())
      throw ConfigError(
          concat("The degrees ", product, " make groups of ", others, " ranks, more than a run can have."));
  }
  if (degrees.dp_shard == -1) {
    if (world_size % others != 0)
      throw ConfigError(concat("The degrees ", product, " make groups of ", others, " ranks, which do not divide the ",
                               world_size, " ranks of the world. Change one of them, or start a multiple of ", others,
                               " ranks."));
    degrees.dp_shard = static_cast<int>(world_size / others);
  }
  if (others * degrees.dp_shard != world_size)
    throw ConfigError(concat("The degrees ", product, ", ", shard, " ", degrees.dp_shard, " need ",
                             others * degrees.dp_shard, " ranks, but the world has ", world_size,
                             ". Change one of them (", shard, " -1 takes the ranks that the others leave), or start ",
                             others * degrees.dp_shard, " ranks."));
  const int inner = degrees.dp_shard * degrees.cp * degrees.tp;
  if (inner % degrees.ep != 0)
    throw ConfigError(concat(expert.name, " is ", degrees.ep, ", which does not divide the ", inner,
                             " ranks that experts are spread over (", shard, " ", degrees.dp_shard, " x ", tensor.name,
                             " ", degrees.tp, "). Choose a divisor of ", inner, "."));
  return degrees;
}

ASHLAR_ONCE Mesh::Mesh(const Degrees& degrees, Communicator world)
    : degrees_(resolve_degrees(degrees, world.size())),
      here_(coordinates_of(degrees_, world.rank())),
      world_(std::move(world)) {
  for (int a = 0; a < axes; ++a) {
    const auto axis = static_cast<Axis>(a);
    groups_[static_cast<std::size_t>(a)] = make_group(std::array{axis}, std::string(to_string(axis)));
  }
  using enum Axis;
  data_ = make_group(std::array{dp_replicate, dp_shard, cp}, "data");
  data_and_tensor_ = make_group(std::array{dp_replicate, dp_shard, cp, tp}, "data_and_tensor");
}

}  // namespace ashlar::inline v0
