// What a GPU and the host that drives it did while a program ran: filled by injection.cpp from CUPTI's activity
// records, written down by report.cpp. Times are nanoseconds of one clock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ashlar::trace {

/// Each text once, by number.
class Names {
 public:
  int id(std::string_view text);
  const std::string& operator[](int id) const { return texts_[static_cast<std::size_t>(id)]; }
  int size() const { return static_cast<int>(texts_.size()); }

 private:
  std::unordered_map<std::string, int> ids_;
  std::vector<std::string> texts_;
};

enum class Work : std::uint8_t { kernel, copy_to_device, copy_to_host, copy_on_device, fill };

/// Something that ran on the GPU. `call`: the number that CUPTI gives the host's call, by which the two are matched.
struct DeviceWork {
  Work kind;
  bool pageable = false;  // a copy whose host side is not page-locked: it makes the host wait
  int name = 0;
  std::uint32_t call = 0, stream = 0;
  std::uint64_t begin = 0, end = 0;
};

/// A call into the CUDA runtime.
struct HostCall {
  int name = 0;
  std::uint32_t call = 0, thread = 0;
  std::uint64_t begin = 0, end = 0;
};

struct Trace {
  Names names;
  std::vector<DeviceWork> work;
  std::vector<HostCall> calls;
  std::uint64_t dropped = 0;  // records that CUPTI had no room for
};

/// A kernel's name without namespaces, arguments and the launcher around our kernel structs.
std::string short_name(const std::string& mangled);

/// Whether a call of this name makes the host wait for the device, or may.
bool waits(std::string_view call);

/// PREFIX.txt: kernels by time, how busy the GPU was, what the host waited for. PREFIX.json: the last three steps for
/// chrome://tracing or Perfetto. Sorts the trace.
void write_report(Trace& trace, const std::string& prefix);

}  // namespace ashlar::trace
