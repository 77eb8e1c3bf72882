// Communicator: a group of ranks that exchange buffers. One type-erased handle over four backends: Local (ranks as
// threads), Mpi, Fake (counts) and, later, Nccl. tests/comm/laws.hpp is what any backend must pass.
// Read next: comm/local.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// A collective that could not finish: which rank noticed, in which operation and step, and which rank is to blame.
class CommError : public Error {
 public:
  using Error::Error;
};

enum class Reduce { sum, max };

/// One operation under way. A Request keeps alive what the backend needs, not the caller's buffers: these must live and
/// stay untouched until wait() returns. Destroying a pending Request waits for it, and swallows its error.
class Request {
 public:
  struct State {
    virtual ~State() = default;
    /// Blocks until the operation is done. Throws CommError at the deadline, or when a peer has died.
    virtual void wait() = 0;
    /// Whether wait() would return at once. Drives the operation forward where the backend needs that (MPI).
    virtual bool test() = 0;
  };

  Request() = default;
  explicit Request(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Request(Request&&) = default;
  Request& operator=(Request&& other) {
    if (this != &other) {
      abandon();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~Request() { abandon(); }

  /// Blocks until the operation is done; later calls return at once.
  void wait() {
    if (state_) std::exchange(state_, nullptr)->wait();
  }
  bool test() { return !state_ || state_->test(); }

 private:
  void abandon() noexcept {
    try {
      wait();
    } catch (const Error&) {  // the error that made the owner unwind is the one to report
    }
  }
  std::shared_ptr<State> state_;
};

/// What a backend implements. Buffers are host-accessible memory. Counts are elements. All members of the group call
/// the same collectives in the same order; any number may be in flight.
class CommunicatorBackend {
 public:
  virtual ~CommunicatorBackend() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual Request all_reduce(void* data, index_t count, DType, Reduce) = 0;
  virtual Request all_gather(const void* send, void* receive, index_t count, DType) = 0;
  virtual Request reduce_scatter(const void* send, void* receive, index_t count, DType, Reduce) = 0;
  virtual Request all_to_all(const void* send, std::span<const index_t> send_counts, void* receive,
                             std::span<const index_t> receive_counts, DType) = 0;
  virtual Request broadcast(void* data, index_t count, DType, int root) = 0;
  virtual Request send(const void* data, index_t count, DType, int peer, int tag) = 0;
  virtual Request receive(void* data, index_t count, DType, int peer, int tag) = 0;
  virtual Request barrier() = 0;
  virtual std::shared_ptr<CommunicatorBackend> split(int color, int key, std::string name) = 0;
  /// How long an operation may take before it is an error, and the step that such an error names.
  virtual void set_timeout(std::chrono::milliseconds) = 0;
  virtual void set_step(std::int64_t step) = 0;
};

/// The handle that modules and strategies hold. Copies share the group. A default-made Communicator is the group of
/// one: every operation on it is a local copy or nothing.
class Communicator {
 public:
  Communicator() = default;
  explicit Communicator(std::shared_ptr<CommunicatorBackend> backend) : backend_(std::move(backend)) {}

  int rank() const { return backend_ ? backend_->rank() : 0; }
  int size() const { return backend_ ? backend_->size() : 1; }
  CommunicatorBackend* backend() const { return backend_.get(); }

  /// data [count] becomes the reduction over all ranks, in rank order on every rank: the same bits everywhere.
  template <class T>
  Request all_reduce(T* data, index_t count, Reduce op = Reduce::sum) {
    return size() == 1 ? Request() : backend_->all_reduce(data, count, dtype_of<T>, op);
  }
  /// receive [size * count] becomes the ranks' send [count], in rank order. send may be receive + rank * count (in
  /// place).
  template <class T>
  Request all_gather(const T* send, T* receive, index_t count) {
    if (size() > 1) return backend_->all_gather(send, receive, count, dtype_of<T>);
    copy_alone(send, receive, count);
    return {};
  }
  /// receive [count] becomes block `rank` of the reduction of send [size * count]. In place: receive = send + rank *
  /// count.
  template <class T>
  Request reduce_scatter(const T* send, T* receive, index_t count, Reduce op = Reduce::sum) {
    if (size() > 1) return backend_->reduce_scatter(send, receive, count, dtype_of<T>, op);
    copy_alone(send, receive, count);
    return {};
  }
  /// send_counts[r] elements of send go to rank r, receive_counts[r] come from it, each packed in rank order.
  template <class T>
  Request all_to_all(const T* send, std::span<const index_t> send_counts, T* receive,
                     std::span<const index_t> receive_counts) {
    if (size() > 1) return backend_->all_to_all(send, send_counts, receive, receive_counts, dtype_of<T>);
    copy_alone(send, receive, receive_counts[0]);
    return {};
  }
  template <class T>
  Request broadcast(T* data, index_t count, int root) {
    return size() == 1 ? Request() : backend_->broadcast(data, count, dtype_of<T>, root);
  }
  /// Messages between two ranks match by tag, in order within a tag. A rank may not send to itself.
  template <class T>
  Request send(const T* data, index_t count, int peer, int tag) {
    return backend_->send(data, count, dtype_of<T>, peer, tag);
  }
  template <class T>
  Request receive(T* data, index_t count, int peer, int tag) {
    return backend_->receive(data, count, dtype_of<T>, peer, tag);
  }
  void barrier() {
    if (size() > 1) backend_->barrier().wait();
  }
  /// The ranks that gave the same color, ordered by key, then by rank. Collective. `name` (an axis) appears in errors
  /// and counts.
  Communicator split(int color, int key, std::string name) {
    return backend_ ? Communicator(backend_->split(color, key, std::move(name))) : Communicator();
  }
  void set_timeout(std::chrono::milliseconds timeout) {
    if (backend_) backend_->set_timeout(timeout);
  }
  void set_step(std::int64_t step) {
    if (backend_) backend_->set_step(step);
  }

 private:
  template <class T>
  static void copy_alone(const T* send, T* receive, index_t count) {
    if (send != receive && send && receive)
      for (index_t i = 0; i < count; ++i) receive[i] = send[i];
  }
  std::shared_ptr<CommunicatorBackend> backend_;
};

}  // namespace ashlar::inline v0
