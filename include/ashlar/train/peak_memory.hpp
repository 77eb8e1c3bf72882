// The most memory that a run has held: of the device where it has its own, else of the process, as the operating system
// counts it. Used by the trainer's metrics.
// Read next: train/metrics.hpp.
#pragma once

#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <type_traits>

#include "ashlar/device/cpu.hpp"
#include "ashlar/tensor/memory.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

namespace ashlar::inline v0 {

/// Bytes of host memory at the process's high-water mark; 0 where the system does not say. VmHWM comes first: on Linux
/// getrusage's figure survives exec, and would count a launcher that was larger than this program.
template <class CompiledOnce = void>
std::int64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmHWM:")) continue;
    std::int64_t kibibytes = 0;
    const std::size_t digits = line.find_first_of("0123456789");
    if (digits != line.npos) std::from_chars(line.data() + digits, line.data() + line.size(), kibibytes);
    if (kibibytes > 0) return kibibytes * 1024;
  }
#if defined(__unix__) || defined(__APPLE__)
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
#if defined(__APPLE__)
    return usage.ru_maxrss;  // bytes there, KiB elsewhere
#else
    return std::int64_t{usage.ru_maxrss} * 1024;
#endif
  }
#endif
  return 0;
}

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
