// NcclContext: what one rank has on its GPU for NCCL. Its lines (a stream and an NCCL communicator each), its
// operations under way, and the watchdog that ends them when they take too long. Needs ASHLAR_WITH_NCCL. Read next:
// comm/nccl_backend.hpp.
#pragma once

#include "ashlar/core/platform.hpp"

#if ASHLAR_WITH_NCCL

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "ashlar/comm/operation.hpp"
#include "ashlar/device/cuda/runtime.hpp"

namespace ashlar::inline v0::detail {

using NcclClock = std::chrono::steady_clock;

/// Two events of an operation: its queue has got to it, and it is done.
struct NcclEvents {
  cudaEvent_t begun = nullptr, done = nullptr;
};

/// Events, used again and again.
class NcclEventPool {
 public:
  NcclEventPool() = default;
  NcclEventPool(const NcclEventPool&) = delete;
  NcclEventPool& operator=(const NcclEventPool&) = delete;
  ~NcclEventPool() {
    for (const NcclEvents& events : free_)
      for (cudaEvent_t event : {events.begun, events.done}) cudaEventDestroy(event);
  }
  NcclEvents take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        const NcclEvents events = free_.back();
        free_.pop_back();
        return events;
      }
    }
    NcclEvents events;
    for (cudaEvent_t* event : {&events.begun, &events.done})
      check_cuda(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "cudaEventCreateWithFlags",
                 earlier_kernel_remedy);
    return events;
  }
  void give_back(const NcclEvents& events) {
    const std::lock_guard lock(mutex_);
    free_.push_back(events);
  }

 private:
  std::mutex mutex_;
  std::vector<NcclEvents> free_;
};

/// An operation under way, as its request and the watchdog know it.
struct NcclOperation {
  NcclOperation(std::shared_ptr<NcclEventPool> from, std::string start)
      : pool(std::move(from)), error_start(std::move(start)), events(pool->take()) {}
  NcclOperation(const NcclOperation&) = delete;
  NcclOperation& operator=(const NcclOperation&) = delete;
  ~NcclOperation() { pool->give_back(events); }

  bool begun() const { return cudaEventQuery(events.begun) != cudaErrorNotReady; }
  bool done() const { return cudaEventQuery(events.done) != cudaErrorNotReady; }

  std::shared_ptr<NcclEventPool> pool;
  std::string error_start;
  NcclEvents events;
};

/// A stream and an NCCL communicator on it: operations happen one after the other, and wait for no other line. `comm`
/// is null once the context has failed.
struct NcclLine {
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  std::deque<std::shared_ptr<NcclOperation>> pending;  // in order; the watchdog times the first
  NcclClock::time_point first_since{};                 // when the first was seen to have begun; 0: not yet
};

/// Used by the rank's thread; the watchdog looks in under the lock.
class NcclContext : public std::enable_shared_from_this<NcclContext> {
 public:
  /// For the GPU that this thread has selected.
  explicit NcclContext(int rank) : rank_(rank), gpu_(Cuda::selected()), watchdog_([this] { watch(); }) {}
  NcclContext(const NcclContext&) = delete;
  NcclContext& operator=(const NcclContext&) = delete;
  inline ~NcclContext();

  int rank() const { return rank_; }
  std::chrono::milliseconds timeout() const { return timeout_.load(); }
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) { return timeout_.exchange(timeout); }
  std::int64_t step = 0;

  /// A line of `size` ranks that all got `id` from one of them. Blocks until the others have come, at most `timeout`.
  inline NcclLine& add_line(const ncclUniqueId& id, int rank, int size, int max_blocks, const std::string& error_start);
  /// Sends a byte from the line's rank 0 to its rank 1, and blocks until the two are connected.
  inline void greet(NcclLine& line, bool sends, const std::string& error_start);
  /// call(comm, stream) after what is on `queue`, as one operation on the line.
  template <class Call>
  Request run(NcclLine& line, AnyQueue queue, const std::string& group, const Operation& what, Call&& call);

  /// Throws CommError, with the reason, where an operation of this rank has failed.
  void check_alive(std::string_view start = {}) {
    if (!failed_) return;
    const std::lock_guard lock(mutex_);
    throw CommError(concat(start, start.empty() ? "" : "the rank has failed before: ", reason_));
  }
  bool failed() const { return failed_; }
  /// Ends all lines: kernels that wait for peers leave, and buffers are nobody's but the caller's when it returns.
  inline void fail(const std::string& reason) noexcept;

 private:
  inline void fail_locked(const std::string& reason) noexcept;
  inline void settle(NcclLine& line, ncclResult_t result, std::string_view call, const std::string& error_start);
  inline void watch();
  inline void look_at(NcclLine& line);

  const int rank_, gpu_;
  std::atomic<std::chrono::milliseconds> timeout_{std::chrono::minutes(5)};
  std::atomic<bool> failed_{false};
  std::string reason_;
  std::mutex mutex_;  // of all below, and of calls on communicators, which an abort must not meet
  std::deque<NcclLine> lines_;
  std::condition_variable stop_;
  bool stopping_ = false;
  void* greeting_ = nullptr;  // of one byte, on the GPU
  std::shared_ptr<NcclEventPool> events_ = std::make_shared<NcclEventPool>();
  std::thread watchdog_;  // last: it begins when all else is there
};

/// The caller's end of an operation.
class NcclRequest final : public Request::State {
 public:
  NcclRequest(std::shared_ptr<NcclContext> context, std::shared_ptr<NcclOperation> operation)
      : context_(std::move(context)), operation_(std::move(operation)) {}

  void wait(AnyQueue queue) override {
    context_->check_alive(operation_->error_start);
    check_cuda(
        cudaStreamWaitEvent(static_cast<cudaStream_t>(queue.as<Cuda::Queue>().stream()), operation_->events.done, 0),
        "cudaStreamWaitEvent", earlier_kernel_remedy);
  }
  bool test() override { return context_->failed() || operation_->done(); }
  void abandon() noexcept override {
    if (!operation_->done()) context_->fail(operation_->error_start + "it was abandoned");
  }

 private:
  std::shared_ptr<NcclContext> context_;
  std::shared_ptr<NcclOperation> operation_;
};

/// Waits until a call on a line is through on the host: NCCL may have to meet the peers first.
inline void NcclContext::settle(NcclLine& line, ncclResult_t result, std::string_view call,
                                const std::string& error_start) {
  const NcclClock::time_point deadline = NcclClock::now() + timeout();
  for (int tries = 0; result == ncclInProgress; ++tries) {
    if (tries < 1000)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    const std::lock_guard lock(mutex_);
    if (failed_) break;
    if (const ncclResult_t asked = ncclCommGetAsyncError(line.comm, &result); asked != ncclSuccess) result = asked;
    if (result == ncclInProgress && NcclClock::now() >= deadline)
      fail_locked(concat(error_start, "timed out after ", timeout().count(),
                         " ms: a rank of the group did not call it, or another operation of a peer is in its way"));
  }
  if (failed_) check_alive();
  if (result != ncclSuccess) {
    fail(concat(error_start, call, " failed: ", std::string_view(ncclGetErrorString(result)), " (",
                std::string_view(ncclGetLastError(nullptr)), ")"));
    check_alive();
  }
}

inline NcclLine& NcclContext::add_line(const ncclUniqueId& id, int rank, int size, int max_blocks,
                                       const std::string& error_start) {
  check_alive(error_start);
  int least = 0, greatest = 0;
  check_cuda(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange",
             earlier_kernel_remedy);
  cudaStream_t stream = nullptr;  // what others wait for goes first
  check_cuda(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest), "cudaStreamCreateWithPriority",
             earlier_kernel_remedy);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  if (max_blocks > 0) config.maxCTAs = max_blocks;
  ncclResult_t result = ncclSuccess;
  NcclLine* line = nullptr;
  {
    const std::lock_guard lock(mutex_);
    line = &lines_.emplace_back();
    line->stream = stream;
    result = ncclCommInitRankConfig(&line->comm, size, id, rank, &config);
  }
  settle(*line, result, "ncclCommInitRankConfig", error_start);
  return *line;
}

inline void NcclContext::greet(NcclLine& line, bool sends, const std::string& error_start) {
  if (!greeting_) greeting_ = Cuda::allocate(1);
  ncclResult_t result = ncclSuccess;
  {
    const std::lock_guard lock(mutex_);
    if (!failed_)
      result = sends ? ncclSend(greeting_, 1, ncclUint8, 1, line.comm, line.stream)
                     : ncclRecv(greeting_, 1, ncclUint8, 0, line.comm, line.stream);
  }
  settle(line, result, "the first message", error_start);
}

template <class Call>
Request NcclContext::run(NcclLine& line, AnyQueue queue, const std::string& group, const Operation& what, Call&& call) {
  check(what.count >= 0, "a communicator was asked for a negative count");
  const std::string start = comm_error_start(rank_, step, group, what);
  check_alive(start);
  auto operation = std::make_shared<NcclOperation>(events_, start);
  check_cuda(cudaEventRecord(operation->events.begun, static_cast<cudaStream_t>(queue.as<Cuda::Queue>().stream())),
             "cudaEventRecord", earlier_kernel_remedy);
  check_cuda(cudaStreamWaitEvent(line.stream, operation->events.begun, 0), "cudaStreamWaitEvent",
             earlier_kernel_remedy);
  ncclResult_t result = ncclSuccess;
  {
    const std::lock_guard lock(mutex_);
    if (!failed_) result = call(line.comm, line.stream);
  }
  settle(line, result, to_string(what.kind), start);
  check_cuda(cudaEventRecord(operation->events.done, line.stream), "cudaEventRecord", earlier_kernel_remedy);
  {
    const std::lock_guard lock(mutex_);
    line.pending.push_back(operation);
  }
  return Request(std::make_shared<NcclRequest>(shared_from_this(), std::move(operation)), queue);
}

inline void NcclContext::fail(const std::string& reason) noexcept {
  const std::lock_guard lock(mutex_);
  fail_locked(reason);
}
inline void NcclContext::fail_locked(const std::string& reason) noexcept {
  if (failed_) return;
  reason_ = reason;
  failed_ = true;
  for (NcclLine& line : lines_)
    if (line.comm) ncclCommAbort(std::exchange(line.comm, nullptr));
  // Kernels leave when they see the abort; buffers are theirs until then.
  const NcclClock::time_point deadline = NcclClock::now() + std::chrono::seconds(10);
  for (NcclLine& line : lines_)
    while (cudaStreamQuery(line.stream) == cudaErrorNotReady && NcclClock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
}

/// The watchdog: an operation that is first on its line, and whose queue has got to it, has `timeout` to be done. Its
/// failure is an error of the next call of the rank's thread, which may now be waiting for the GPU: the abort lets it
/// go.
inline void NcclContext::watch() {
  cudaSetDevice(gpu_);
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    for (NcclLine& line : lines_) look_at(line);
    stop_.wait_for(lock, std::clamp(timeout() / 20, std::chrono::milliseconds(2), std::chrono::milliseconds(100)));
  }
}
inline void NcclContext::look_at(NcclLine& line) {
  while (!line.pending.empty() && line.pending.front()->done()) {
    line.pending.pop_front();
    line.first_since = {};
  }
  if (failed_ || line.pending.empty() || !line.comm) return;
  const NcclOperation& first = *line.pending.front();
  ncclResult_t state = ncclSuccess;
  if (ncclCommGetAsyncError(line.comm, &state) == ncclSuccess && state != ncclSuccess && state != ncclInProgress)
    return fail_locked(concat(first.error_start, "NCCL lost the peers: ", std::string_view(ncclGetErrorString(state))));
  if (line.first_since == NcclClock::time_point{}) {
    if (first.begun()) line.first_since = NcclClock::now();
  } else if (NcclClock::now() - line.first_since > timeout()) {
    fail_locked(concat(first.error_start, "timed out after ", timeout().count(),
                       " ms on the device: a rank of the group did not come to it"));
  }
}

inline NcclContext::~NcclContext() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_.notify_all();
  }
  watchdog_.join();
  // Peers may still read what this rank has to give: it leaves when all is done, but does not wait for ever.
  const NcclClock::time_point deadline =
      NcclClock::now() + std::min<NcclClock::duration>(timeout(), std::chrono::seconds(20));
  const auto in_time = [&](auto&& ready) {
    while (!ready() && NcclClock::now() < deadline) std::this_thread::sleep_for(std::chrono::microseconds(200));
    return NcclClock::now() < deadline;
  };
  bool whole = !failed_ && std::uncaught_exceptions() == 0;
  for (NcclLine& line : lines_) {
    whole = whole && in_time([&] { return cudaStreamQuery(line.stream) != cudaErrorNotReady; });
    if (!line.comm) continue;
    ncclResult_t state = whole ? ncclCommFinalize(line.comm) : ncclInternalError;
    if (state == ncclInProgress) {
      const auto settled = [&] {
        return ncclCommGetAsyncError(line.comm, &state) != ncclSuccess || state != ncclInProgress;
      };
      if (!in_time(settled)) state = ncclInternalError;
    }
    whole = whole && state == ncclSuccess;
    whole ? ncclCommDestroy(line.comm) : ncclCommAbort(line.comm);
  }
  for (NcclLine& line : lines_) {
    line.pending.clear();
    cudaStreamDestroy(line.stream);
  }
  Cuda::deallocate(greeting_, 1);
}

}  // namespace ashlar::inline v0::detail

#endif
