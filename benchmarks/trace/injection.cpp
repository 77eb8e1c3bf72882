// libashlar_trace.so: traces an unmodified program. CUDA loads it where CUDA_INJECTION64_PATH names it, and calls
// InitializeInjection; the report is written when the program ends. ASHLAR_TRACE: what the reports' paths begin with.
#include <cupti.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "trace.hpp"

namespace {

using namespace ashlar::trace;

/// Never destroyed: CUPTI's threads may outlive static objects.
struct Collector {
  std::mutex mutex;
  Trace trace;
};
Collector& collector() {
  static Collector* const all = new Collector;
  return *all;
}

/// A trace that lacks something is better than a program that ends: faults are told and passed over.
bool works(CUptiResult status, const char* what) {
  if (status == CUPTI_SUCCESS) return true;
  const char* text = "unknown";
  cuptiGetResultString(status, &text);
  std::fprintf(stderr, "ashlar_trace: %s: %s\n", what, text);
  return false;
}

constexpr std::size_t buffer_bytes = std::size_t{8} << 20;

void CUPTIAPI give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* records) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(64, buffer_bytes));
  *size = *buffer ? buffer_bytes : 0;
  *records = 0;  // as many as fit
}

void add(Trace& trace, const CUpti_ActivityKernel10& k) {
  trace.work.push_back(
      {Work::kernel, false, trace.names.id(k.name ? k.name : "?"), k.correlationId, k.streamId, k.start, k.end});
}
void add(Trace& trace, const CUpti_ActivityMemcpy6& m) {
  const Work kind = m.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_HTOD   ? Work::copy_to_device
                    : m.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_DTOH ? Work::copy_to_host
                                                                    : Work::copy_on_device;
  const bool pageable =
      m.srcKind == CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE || m.dstKind == CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE;
  const char* const name = kind == Work::copy_to_device ? "copy to the device"
                           : kind == Work::copy_to_host ? "copy to the host"
                                                        : "copy on the device";
  trace.work.push_back({kind, pageable, trace.names.id(name), m.correlationId, m.streamId, m.start, m.end});
}
void add(Trace& trace, const CUpti_ActivityMemset4& m) {
  trace.work.push_back({Work::fill, false, trace.names.id("fill"), m.correlationId, m.streamId, m.start, m.end});
}
void add(Trace& trace, const CUpti_ActivityAPI& a) {
  const char* name = nullptr;
  if (cuptiGetCallbackName(CUPTI_CB_DOMAIN_RUNTIME_API, a.cbid, &name) != CUPTI_SUCCESS || !name) name = "cuda?";
  std::string_view text = name;
  if (const auto version = text.rfind("_v"); version != text.npos) text = text.substr(0, version);
  trace.calls.push_back({trace.names.id(text), a.correlationId, a.threadId, a.start, a.end});
}
/// Of a call into the runtime, which is among the calls too, or of a library's into the driver.
void add(Trace& trace, const CUpti_ActivitySynchronization2& s) {
  const char* const name = s.type == CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_SYNCHRONIZE ? "synchronization: stream"
                           : s.type == CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_CONTEXT_SYNCHRONIZE
                               ? "synchronization: context"
                           : s.type == CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_EVENT_SYNCHRONIZE ? "synchronization: event"
                                                                                             : nullptr;
  if (name) trace.calls.push_back({trace.names.id(name), s.correlationId, 0, s.start, s.end});
}

void CUPTIAPI take_buffer(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
  Collector& all = collector();
  const std::lock_guard lock(all.mutex);
  CUpti_Activity* record = nullptr;
  while (valid > 0 && cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    switch (record->kind) {
      case CUPTI_ACTIVITY_KIND_KERNEL:
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        add(all.trace, *reinterpret_cast<const CUpti_ActivityKernel10*>(record));
        break;
      case CUPTI_ACTIVITY_KIND_MEMCPY: add(all.trace, *reinterpret_cast<const CUpti_ActivityMemcpy6*>(record)); break;
      case CUPTI_ACTIVITY_KIND_MEMSET: add(all.trace, *reinterpret_cast<const CUpti_ActivityMemset4*>(record)); break;
      case CUPTI_ACTIVITY_KIND_RUNTIME: add(all.trace, *reinterpret_cast<const CUpti_ActivityAPI*>(record)); break;
      case CUPTI_ACTIVITY_KIND_SYNCHRONIZATION:
        add(all.trace, *reinterpret_cast<const CUpti_ActivitySynchronization2*>(record));
        break;
      default: break;
    }
  }
  std::size_t dropped = 0;
  if (cuptiActivityGetNumDroppedRecords(nullptr, 0, &dropped) == CUPTI_SUCCESS) all.trace.dropped += dropped;
  std::free(buffer);
}

void finish() {
  works(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll");
  Collector& all = collector();
  const std::lock_guard lock(all.mutex);
  const char* const prefix = std::getenv("ASHLAR_TRACE");
  write_report(all.trace, prefix ? prefix : "ashlar_trace");
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  static bool begun = false;
  if (std::exchange(begun, true)) return 1;
  if (!works(cuptiActivityRegisterCallbacks(give_buffer, take_buffer), "cuptiActivityRegisterCallbacks")) return 0;
  for (const CUpti_ActivityKind kind :
       {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET,
        CUPTI_ACTIVITY_KIND_RUNTIME, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION})
    works(cuptiActivityEnable(kind), "cuptiActivityEnable");
  std::atexit(finish);
  return 1;
}
