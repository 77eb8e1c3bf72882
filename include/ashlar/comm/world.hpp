// The world of a run on a device: ranks that exchange the device's memory, each on a device of its own. Read next:
// comm/staged.hpp, comm/nccl.hpp.
#pragma once

#include <algorithm>
#include <fstream>

#if defined(__unix__)
#include <unistd.h>
#endif

#include "ashlar/comm/communicator.hpp"
#include "ashlar/comm/staged.hpp"
#include "ashlar/core/random.hpp"
#include "ashlar/device/cuda/cuda.hpp"

#if ASHLAR_WITH_NCCL
#include "ashlar/comm/nccl.hpp"
#endif

namespace ashlar::inline v0 {

/// The place of a rank among those of its machine.
struct LocalRank {
  int rank = 0, size = 1;
};

namespace detail {

/// A number that ranks of one machine share: of its name and, where the system tells, of its last start.
inline std::int64_t machine_number() {
  std::string identity;
#if defined(__unix__)
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0) identity = name;
#endif
  std::string boot;
  if (std::ifstream file("/proc/sys/kernel/random/boot_id"); std::getline(file, boot)) identity += boot;
  return static_cast<std::int64_t>(hash_name(identity));
}

}  // namespace detail

/// Collective.
inline LocalRank local_rank(Communicator world) {
  const std::vector<std::int64_t> machines = world.gather_values(detail::machine_number());
  const auto me = machines.begin() + world.rank();
  return {static_cast<int>(std::count(machines.begin(), me, *me)),
          static_cast<int>(std::count(machines.begin(), machines.end(), *me))};
}

/// Gives each rank of a machine a device of its own, or shares them evenly where there are fewer. First of all, on the
/// rank's thread: queues and memory are made for the device that the thread has. Collective.
template <Device D>
void take_device(Communicator world) {
  if constexpr (std::is_same_v<D, Cuda>) {
    if (world.size() == 1) return;
    const int place = local_rank(world).rank;
    if (const int devices = Cuda::count(); devices > 1) Cuda::select(place % devices);
  }
}

/// `world` with a backend for D's memory: itself where D's memory is the host's or it has one, by Nccl where the build
/// has that and every rank a GPU of its own (see take_device), and otherwise by copies on the host. Collective.
template <Device D>
Communicator world_on(Communicator world) {
  if constexpr (std::is_same_v<D, Cpu> || !D::has_storage) {
    return world;
  } else {
    if (world.size() == 1 || world.device_backend()) return world;
#if ASHLAR_WITH_NCCL
    if constexpr (std::is_same_v<D, Cuda>) {
      const LocalRank local = local_rank(world);
      const bool shares = Cuda::count() < local.size || Cuda::selected() != local.rank;
      if (world.reduce_value(std::int32_t{shares}, Reduce::max) == 0) return nccl_world(world);
    }
#endif
    return Communicator(world.host_backend(), std::make_shared<StagedBackend<D>>(world.host_backend()));
  }
}

}  // namespace ashlar::inline v0
