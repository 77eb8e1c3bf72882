// Definitions of peak_memory.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/report/peak_memory.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::int64_t peak_resident_bytes() {
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

}  // namespace ashlar::inline v0
