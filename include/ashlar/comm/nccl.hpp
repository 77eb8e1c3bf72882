// Nccl: ranks with a GPU each exchange its memory by NCCL. The host waits in none of its operations; a watchdog keeps
// their deadlines. Needs ASHLAR_WITH_NCCL. Read next: comm/nccl_context.hpp, comm/nccl_backend.hpp.
#pragma once

#include "ashlar/comm/communicator.hpp"
#include "ashlar/core/platform.hpp"

#if ASHLAR_WITH_NCCL

#include "ashlar/comm/nccl_backend.hpp"

namespace ashlar::inline v0 {

/// The world with a backend for the memory of the GPU that each rank has selected; no two ranks of a machine may have
/// the same. Ranks meet over the host's backend. Failures of this rank on the device are CommErrors of the next call on
/// any of its groups.
///
/// For processes. Ranks that are threads of one process can wait for each other where CUDA does: what it does for all
/// GPUs of a process at once (loading a kernel at its first launch) waits for kernels that wait for the other thread.
/// The communicator's laws hold for threads; a whole model met a deadline so.
inline Communicator nccl_world(const Communicator& world) {
  const std::shared_ptr<HostBackend>& host = world.host_backend();
  auto context = std::make_shared<detail::NcclContext>(host->rank());
  return Communicator(host, std::make_shared<detail::NcclBackend>(std::move(context), host, "world"));
}

}  // namespace ashlar::inline v0

#endif
