// What a communicator's backend implements: for the host's memory (comm/local.hpp, comm/mpi.hpp, comm/fake.hpp), and
// for a device's beside it (comm/staged.hpp, comm/nccl.hpp). tests/comm/laws.hpp is what any backend must pass. Read
// next: comm/host_backend.hpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ashlar/comm/request.hpp"
#include "ashlar/core/dtype.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

enum class Reduce { sum, max };

/// A line of messages from one rank to another: what is sent on it arrives in that order. Two lines of one name, there
/// and back, are apart. In a pipeline: the gap between two stages, whether activations or their gradients cross it, and
/// which of the tensors that cross together.
struct Channel {
  int boundary = 0;
  bool gradient = false;
  int stream = 0;
  friend auto operator<=>(const Channel&, const Channel&) = default;
};

/// Where an operation reads or writes `count` elements.
struct Buffer {
  void* data;
  index_t count;
  DType type;
};

/// Buffers are memory that the backend can reach. An operation begins when what is on the queue so far is done. All
/// members of the group call the same collectives in the same order; any number may be in flight.
class CommunicatorBackend {
 public:
  virtual ~CommunicatorBackend() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual Request all_reduce(AnyQueue, void* data, index_t count, DType, Reduce) = 0;
  /// All of them as one operation.
  virtual Request all_reduce_each(AnyQueue, std::span<const Buffer>, Reduce) = 0;
  virtual Request all_gather(AnyQueue, const void* send, void* receive, index_t count, DType) = 0;
  virtual Request reduce_scatter(AnyQueue, const void* send, void* receive, index_t count, DType, Reduce) = 0;
  virtual Request all_to_all(AnyQueue, const void* send, std::span<const index_t> send_counts, void* receive,
                             std::span<const index_t> receive_counts, DType) = 0;
  virtual Request broadcast(AnyQueue, void* data, index_t count, DType, int root) = 0;
  virtual Request send(AnyQueue, const void* data, index_t count, DType, int peer, Channel) = 0;
  virtual Request receive(AnyQueue, void* data, index_t count, DType, int peer, Channel) = 0;
  /// Prepares the channel from `source` to `destination`, one of which is this rank; the other one does the same.
  /// Blocks where the backend has something to prepare.
  virtual void connect([[maybe_unused]] int source, [[maybe_unused]] int destination, Channel) {}
  /// How long an operation may take before it is an error, and the step that such an error names. Both belong to the
  /// rank: they hold in every group that was made from the same world. Returns the timeout before.
  virtual std::chrono::milliseconds set_timeout(std::chrono::milliseconds) = 0;
  virtual void set_step(std::int64_t step) = 0;
};

class HostBackend;

/// The same group of ranks over the memory of a device: it stands beside a HostBackend, through which its ranks find
/// each other.
class DeviceBackend : public CommunicatorBackend {
 public:
  /// The backend of this kind for another group of the host's. `name` appears in errors.
  virtual std::shared_ptr<DeviceBackend> over(std::shared_ptr<HostBackend> host, std::string name) = 0;
  /// Throws CommError where an operation of this rank has failed on the device: what was computed since is nothing.
  virtual void check_alive() {}
};

namespace detail {

/// Several requests as one.
struct SeveralRequests final : Request::State {
  void wait(AnyQueue) override {
    for (Request& part : parts) part.wait();
  }
  bool test() override {
    return std::ranges::all_of(parts, [](Request& part) { return part.test(); });
  }
  void abandon() noexcept override {
    for (Request& part : parts) part.abandon();
  }
  std::vector<Request> parts;
};

}  // namespace detail
}  // namespace ashlar::inline v0
