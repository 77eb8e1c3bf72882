// Request: a communicator's operation under way, on the queue of some device. Read next: comm/communicator.hpp.
#pragma once

#include <exception>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0 {

/// A collective that could not finish: which rank noticed, in which operation and step, and which rank is to blame.
class CommError : public Error {
 public:
  using Error::Error;
};

/// The queue of some device, without its type: who needs it knows the type.
class AnyQueue {
 public:
  template <class Queue>
  requires(!std::is_same_v<std::remove_cv_t<Queue>, AnyQueue>) explicit AnyQueue(Queue& queue)
      : queue_(&queue), type_(&typeid(Queue)) {}

  /// Throws Error where it is another device's.
  template <class Queue>
  Queue& as() const {
    if (*type_ != typeid(Queue)) fail("a communicator was given a queue of another device than its memory's");
    return *static_cast<Queue*>(queue_);
  }

 private:
  void* queue_;
  const std::type_info* type_;
};

/// One operation under way. A Request keeps alive what the backend needs, not the caller's buffers. On Cpu these must
/// live and stay untouched until wait() returns. On Cuda wait() returns at once: they may be used again by what comes
/// on the queue after it. Destroying a pending Request waits for it, and swallows its error; while an exception that
/// began after the operation unwinds, it abandons it, as the buffers go away.
class Request {
 public:
  struct State {
    virtual ~State() = default;
    /// What comes on `queue` after this call begins when the operation is done. Throws CommError where it failed: a
    /// peer has died, or the deadline has passed (on Cuda at the first call after that).
    virtual void wait(AnyQueue queue) = 0;
    /// Whether the operation is done. Drives it forward where the backend needs that (MPI).
    virtual bool test() = 0;
    /// Its owner goes away without waiting, and takes the buffers along: the backend must not touch them once this
    /// returns. Does not wait for peers; they learn that this rank has failed.
    virtual void abandon() noexcept = 0;
  };

  Request() = default;
  /// Of the host's memory, where every queue is the same.
  explicit Request(std::shared_ptr<State> state) : Request(std::move(state), no_queue()) {}
  /// Begun on `queue`, which outlives the request.
  Request(std::shared_ptr<State> state, AnyQueue queue)
      : state_(std::move(state)), queue_(queue), unwinding_(std::uncaught_exceptions()) {}
  Request(Request&&) = default;
  Request& operator=(Request&& other) {
    if (this != &other) {
      drop();
      state_ = std::move(other.state_);
      queue_ = other.queue_;
      unwinding_ = other.unwinding_;
    }
    return *this;
  }
  ~Request() { drop(); }

  /// Lets what comes next on `queue` see the result. On Cpu the host waits; on Cuda the queue does. Later calls do
  /// nothing.
  template <class Queue>
  void wait(Queue& queue) {
    if (state_) std::exchange(state_, nullptr)->wait(AnyQueue(queue));
  }
  /// The same for the queue that the operation was begun on.
  void wait() {
    if (state_) std::exchange(state_, nullptr)->wait(queue_);
  }
  bool test() { return !state_ || state_->test(); }
  /// Gives the operation up: its buffers may go away, and its peers learn of a failure.
  void abandon() noexcept {
    if (state_) std::exchange(state_, nullptr)->abandon();
  }

 private:
  void drop() noexcept {
    if (!state_) return;
    if (std::uncaught_exceptions() > unwinding_) return abandon();
    try {
      wait();
    } catch (...) {  // nobody waits for the result: whoever comes next hears of it
    }
  }

  struct NoQueue {};
  static AnyQueue no_queue() {
    static NoQueue none;
    return AnyQueue(none);
  }
  std::shared_ptr<State> state_;
  AnyQueue queue_ = no_queue();
  int unwinding_ = 0;
};

}  // namespace ashlar::inline v0
