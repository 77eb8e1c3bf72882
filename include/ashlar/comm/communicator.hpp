// Communicator: a group of ranks that exchange buffers. One type-erased handle over four backends: Local (ranks as
// threads), Mpi, Fake (counts) and, later, Nccl. tests/comm/laws.hpp is what any backend must pass.
// Read next: comm/local.hpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

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
/// stay untouched until wait() returns. Destroying a pending Request waits for it, and swallows its error; while
/// an exception unwinds, it gives the operation up instead, as the buffers go away.
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
    } catch (...) {  // the error that made the owner unwind is the one to report
    }
  }
  std::shared_ptr<State> state_;
};

/// What a backend implements. Buffers are host-accessible memory, or a device's: then it is the backend that waits for
/// the queue, and callers don't (comm/staged.hpp). Counts are elements. All members of the group call the same
/// collectives in the same order; any number may be in flight.
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
  /// The group of these ranks (ranks of this group, each once, in the new order). Collective among them alone: they
  /// call it with equal arguments and in the same order; the others do not call it.
  virtual std::shared_ptr<CommunicatorBackend> group(std::span<const int> ranks, std::string name) = 0;
  /// The ranks that gave the same color, ordered by (key, rank). Null for a negative color.
  inline virtual std::shared_ptr<CommunicatorBackend> split(int color, int key, std::string name);
  /// How long an operation may take, from its call on, before it is an error; and the step that such an error names.
  /// Both belong to the rank: they hold in every group that was made from the same world. Returns the timeout before.
  virtual std::chrono::milliseconds set_timeout(std::chrono::milliseconds) = 0;
  virtual void set_step(std::int64_t step) = 0;
  /// What a MetaFloat stands for. Only where nothing is sent can there be any.
  virtual DType meta_float() const { return DType::f32; }

 private:
  template <class CompiledOnce = void>
  std::shared_ptr<CommunicatorBackend> split_by_color(int color, int key, std::string name);
};

template <class CompiledOnce>
std::shared_ptr<CommunicatorBackend> CommunicatorBackend::split_by_color(int color, int key, std::string name) {
  struct Choice {
    std::int32_t color, key;
  };
  static_assert(sizeof(Choice) == 2 * size_of(DType::i32));
  std::vector<Choice> choices(static_cast<std::size_t>(size()));
  const Choice mine{color, key};
  all_gather(&mine, choices.data(), 2, DType::i32).wait();
  if (color < 0) return nullptr;
  std::vector<int> members;
  for (int r = 0; r < size(); ++r)
    if (choices[static_cast<std::size_t>(r)].color == color) members.push_back(r);
  std::ranges::stable_sort(members, {}, [&](int r) { return choices[static_cast<std::size_t>(r)].key; });
  return group(members, std::move(name));
}

inline std::shared_ptr<CommunicatorBackend> CommunicatorBackend::split(int color, int key, std::string name) {
  return split_by_color(color, key, std::move(name));
}

/// The handle that modules and strategies hold. Copies share the group. A default-made Communicator is the group of
/// one: every operation on it is a local copy or nothing.
class Communicator {
 public:
  Communicator() = default;
  explicit Communicator(std::shared_ptr<CommunicatorBackend> backend) : backend_(std::move(backend)) {}

  int rank() const { return backend_ ? backend_->rank() : 0; }
  int size() const { return backend_ ? backend_->size() : 1; }
  const std::shared_ptr<CommunicatorBackend>& backend() const { return backend_; }

  /// data [count] becomes the reduction over all ranks, in rank order on every rank: the same bits everywhere.
  template <class T>
  Request all_reduce(T* data, index_t count, Reduce op = Reduce::sum) {
    return size() == 1 ? Request() : backend_->all_reduce(data, count, type_of<T>(), op);
  }
  /// receive [size * count] becomes the ranks' send [count], in rank order. send may be receive + rank * count (in
  /// place).
  template <class T>
  Request all_gather(const T* send, T* receive, index_t count) {
    if (size() > 1) return backend_->all_gather(send, receive, count, type_of<T>());
    copy_alone(send, receive, count);
    return {};
  }
  /// receive [count] becomes block `rank` of the reduction of send [size * count]. In place: receive = send + rank *
  /// count.
  template <class T>
  Request reduce_scatter(const T* send, T* receive, index_t count, Reduce op = Reduce::sum) {
    if (size() > 1) return backend_->reduce_scatter(send, receive, count, type_of<T>(), op);
    copy_alone(send, receive, count);
    return {};
  }
  /// send_counts[r] elements of send go to rank r, receive_counts[r] come from it, each packed in rank order.
  template <class T>
  Request all_to_all(const T* send, std::span<const index_t> send_counts, T* receive,
                     std::span<const index_t> receive_counts) {
    if (size() > 1) return backend_->all_to_all(send, send_counts, receive, receive_counts, type_of<T>());
    copy_alone(send, receive, receive_counts[0]);
    return {};
  }
  template <class T>
  Request broadcast(T* data, index_t count, int root) {
    return size() == 1 ? Request() : backend_->broadcast(data, count, type_of<T>(), root);
  }
  /// Messages between two ranks match by tag, in order within a tag. A rank may not send to itself.
  template <class T>
  Request send(const T* data, index_t count, int peer, int tag) {
    check_peer(peer);
    return backend_->send(data, count, type_of<T>(), peer, tag);
  }
  template <class T>
  Request receive(T* data, index_t count, int peer, int tag) {
    check_peer(peer);
    return backend_->receive(data, count, type_of<T>(), peer, tag);
  }
  void barrier() {
    if (size() > 1) backend_->barrier().wait();
  }
  /// The group of these ranks of this group, in this order. Collective among them alone. `name` (an axis) appears in
  /// errors and counts.
  Communicator group(std::span<const int> ranks, std::string name) {
    return backend_ && ranks.size() > 1 ? Communicator(backend_->group(ranks, std::move(name))) : Communicator();
  }
  /// The ranks that gave the same color, ordered by key, then by rank. Collective. A negative color joins no group: the
  /// result is the group of one.
  Communicator split(int color, int key, std::string name) {
    return backend_ ? Communicator(backend_->split(color, key, std::move(name))) : Communicator();
  }
  /// Returns the timeout before.
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) {
    return backend_ ? backend_->set_timeout(timeout) : timeout;
  }
  void set_step(std::int64_t step) {
    if (backend_) backend_->set_step(step);
  }

 private:
  void check_peer(int peer) const {
    if (peer < 0 || peer >= size() || peer == rank())
      fail(concat("rank ", rank(), " of a group of ", size(), " can't exchange messages with rank ", peer));
  }
  template <class T>
  DType type_of() const {
    if constexpr (std::is_same_v<std::remove_const_t<T>, MetaFloat>)
      return backend_->meta_float();
    else
      return dtype_of<T>;
  }
  template <class T>
  static void copy_alone(const T* send, T* receive, index_t count) {
    if (send != receive && send && receive)
      for (index_t i = 0; i < count; ++i) receive[i] = send[i];
  }
  std::shared_ptr<CommunicatorBackend> backend_;
};

}  // namespace ashlar::inline v0
