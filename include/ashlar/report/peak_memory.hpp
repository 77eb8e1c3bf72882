// The most memory that a run has held: of the device where it has its own, else of the process, as the operating system
// counts it. Read next: report/metrics.hpp.
#pragma once

#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <type_traits>

#include "ashlar/core/platform.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/tensor/memory.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

namespace ashlar::inline v0 {

/// Bytes of host memory at the process's high-water mark; 0 where the system does not say. VmHWM comes first: on Linux
/// getrusage's figure survives exec, and would count a launcher that was larger than this program.
std::int64_t peak_resident_bytes();

/// Bytes at the high-water mark of where a rank's tensors live: what D gave through `memory`, or on Cpu, whose memory
/// is the process's, what the process held.
template <Device D>
std::int64_t peak_memory_bytes(const Memory<D>& memory) {
  if constexpr (std::is_same_v<D, Cpu>)
    return peak_resident_bytes();
  else
    return static_cast<std::int64_t>(memory.peak_allocated());
}

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/report/peak_memory.ipp"
#endif
