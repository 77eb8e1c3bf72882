// MpiOperation: a call under way over MPI, as stages of non-blocking MPI calls, and the context that drives all of a
// rank's operations forward. Needs ASHLAR_WITH_MPI. Read next: comm/mpi_backend.hpp.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "ashlar/comm/operation.hpp"
#include "ashlar/core/random.hpp"

namespace ashlar::inline v0::detail {

using MpiClock = std::chrono::steady_clock;

/// Throws CommError with MPI's own words unless `code` is success.
inline void check_mpi(int code, std::string_view call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommError(concat(call, " failed: ", std::string_view(text, static_cast<std::size_t>(length))));
}

/// Calls ready() until it is true (returns true) or the deadline has passed (false). MPI makes progress only inside its
/// calls, and ranks may share a core: a few tries in a row, then short sleeps.
template <class F>
bool poll_mpi(MpiClock::time_point deadline, F&& ready) {
  for (int tries = 0; !ready(); ++tries) {
    if (MpiClock::now() >= deadline) return false;
    if (tries < 500)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(tries < 2000 ? 20 : 200));
  }
  return true;
}

/// Polls until all of `ranks` have answered, each by its request; those that have not are left. Calls again() in
/// between.
template <class F>
bool poll_answers(MpiClock::time_point deadline, std::vector<int>& ranks, std::vector<MPI_Request>& answers,
                  F&& again) {
  return poll_mpi(deadline, [&] {
    again();
    for (std::size_t i = ranks.size(); i-- > 0;) {
      int complete = 0;
      check_mpi(MPI_Test(&answers[i], &complete, MPI_STATUS_IGNORE), "MPI_Test");
      if (!complete) continue;
      ranks.erase(ranks.begin() + static_cast<std::ptrdiff_t>(i));
      answers.erase(answers.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return ranks.empty();
  });
}

class MpiOperation;
struct MpiGroup;

/// What one process knows: its rank, its operations in flight, its groups. Used by one thread at a time.
struct MpiContext {
  int rank = 0, size = 1;
  std::chrono::milliseconds timeout{};
  std::int64_t step = 0;
  index_t max_count = std::numeric_limits<int>::max();  // elements that one MPI call takes
  MPI_Comm control = MPI_COMM_NULL;                     // the world again, for roll calls
  std::string closed;                                   // why no operation can begin any more
  bool broken = false;                                  // an operation failed: MPI_Finalize would wait for ever
  std::list<std::shared_ptr<MpiOperation>> active;      // in the order of the calls
  std::vector<std::shared_ptr<MpiGroup>> groups;        // all that were made; they end with the session

  void fail_all(const std::string& reason) {
    broken = true;
    if (closed.empty()) closed = reason;
  }
  /// Tests every operation in flight, and takes those that can to their next stage.
  void progress();
};

/// The members and MPI communicators of a group. `second` carries the messages of all_to_all and the second stages of
/// all_reduce: these begin when a rank gets to them, and on a communicator of their own they still begin in the same
/// order on all ranks.
struct MpiGroup {
  std::shared_ptr<MpiContext> context;
  std::vector<int> ranks;  // in the world
  std::string name;
  int rank = 0;
  MPI_Comm first = MPI_COMM_NULL, second = MPI_COMM_NULL;
  std::uint64_t calls = 0;                 // of collectives
  std::uint64_t turns = 0, next_turn = 0;  // of second stages: handed out, and which is next to begin

  int size() const { return static_cast<int>(ranks.size()); }
  std::string error_start(const Operation& what) const {
    return comm_error_start(context->rank, context->step, name, what);
  }
};

/// One call. A stage is a set of MPI requests; when they are complete, `then` finishes it and may begin another.
class MpiOperation final : public Request::State, public std::enable_shared_from_this<MpiOperation> {
 public:
  MpiOperation(std::shared_ptr<MpiGroup> group, const Operation& what)
      : group_(std::move(group)),
        what_(what),
        step_(group_->context->step),
        timeout_(group_->context->timeout),
        deadline_(MpiClock::now() + timeout_) {
    if (!group_->context->closed.empty()) throw CommError(group_->error_start(what) + group_->context->closed);
    check(what.count >= 0, "a communicator was asked for a negative count");
    if (!between_two()) call_ = group_->calls++;
  }

  void wait(AnyQueue) override {
    MpiContext& context = *group_->context;
    const bool in_time = poll_mpi(deadline_, [&] {
      if (!done_ && !context.broken) context.progress();
      return done_ || context.broken;
    });
    if (done_) return;
    if (in_time) throw CommError(error_start() + context.closed);
    std::string reason = concat("timed out after ", timeout_.count(), " ms: ");
    if (between_two())
      reason += concat("rank ", group_->ranks[static_cast<std::size_t>(what_.peer)], " did not ",
                       what_.kind == Operation::Kind::send ? "receive" : "send", " it");
    else
      reason += roll_call();
    context.fail_all("the rank has failed before: " + to_string(what_) + " of group " + group_->name + " " + reason);
    throw CommError(error_start() + reason);
  }
  /// MPI still has the buffers: this rank can only end, and its launcher ends the others.
  void abandon() noexcept override {
    if (!done_) group_->context->fail_all(to_string(what_) + " was abandoned");
  }
  bool test() override {
    if (!done_) group_->context->progress();
    return done_ || group_->context->broken || MpiClock::now() >= deadline_;
  }

  /// Throws CommError, naming the operation, unless the MPI call that it made returned success.
  void check_call(int code, std::string_view call) const {
    try {
      check_mpi(code, call);
    } catch (const CommError& e) {
      group_->context->fail_all(e.what());
      throw CommError(error_start() + e.what());
    }
  }
  /// A tag for messages that belong to this call: MPI promises tags up to 32767.
  int tag() const { return static_cast<int>(call_ % 32768); }
  /// A place for the MPI request of the stage that is being set up; one that receives a message knows its elements.
  MPI_Request* add(index_t expected = -1) {
    expected_.resize(requests_.size(), -1);
    expected_.push_back(expected);
    return &requests_.emplace_back(MPI_REQUEST_NULL);
  }
  /// Memory that lives as long as the operation.
  std::byte* scratch(index_t count) {
    scratch_ = std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(count) * size_of(what_.type));
    return scratch_.get();
  }
  std::vector<int>& integers() { return integers_.emplace_back(); }
  /// Makes the next stage take its turn in the group's order of second stages.
  void take_turn() { turn_ = static_cast<std::int64_t>(group_->turns++); }
  std::function<void()> then;

  /// Puts it among those that progress() drives.
  Request start() {
    group_->context->active.push_back(shared_from_this());
    return Request(shared_from_this());
  }
  /// Returns whether the operation is done.
  bool advance() {
    try {
      for (std::size_t i = 0; i < requests_.size(); ++i) {
        MPI_Request& request = requests_[i];
        if (request == MPI_REQUEST_NULL) continue;
        int complete = 0;
        MPI_Status status;
        check_mpi(MPI_Test(&request, &complete, &status), "MPI_Test");
        if (!complete) return false;
        if (expected_[i] >= 0) check_received(status, expected_[i]);
      }
      if (turn_ >= 0 && static_cast<std::uint64_t>(turn_) != group_->next_turn) return false;
      if (std::exchange(turn_, -1) >= 0) ++group_->next_turn;
      requests_.clear();
      expected_.clear();
      if (auto finish = std::exchange(then, nullptr)) finish();
    } catch (const CommError& e) {
      group_->context->fail_all(e.what());
      throw CommError(error_start() + e.what());
    }
    return done_ = requests_.empty();
  }

 private:
  bool between_two() const { return what_.kind == Operation::Kind::send || what_.kind == Operation::Kind::receive; }
  std::string error_start() const { return comm_error_start(group_->context->rank, step_, group_->name, what_); }
  void check_received(const MPI_Status& status, index_t expected) const {
    MPI_Count bytes = 0;
    check_mpi(MPI_Get_elements_x(&status, MPI_BYTE, &bytes), "MPI_Get_elements_x");
    const index_t count = static_cast<index_t>(bytes) / static_cast<index_t>(size_of(what_.type));
    if (count == expected) return;
    const std::string from = concat("rank ", group_->ranks[static_cast<std::size_t>(status.MPI_SOURCE)]);
    throw CommError(concat("the message of ", from, " has ", count, " elements, not ", expected));
  }
  /// MPI can't say who is missing. So ranks that time out tell each other, and name those that they have not heard
  /// from.
  std::string roll_call() const {
    const MpiContext& context = *group_->context;
    const std::uint64_t key = (hash_name(group_->name) ^ call_ * 0x9E3779B97F4A7C15ull) >> 7;
    const int tag = 1 + static_cast<int>(key % 32767);  // MPI promises tags up to 32767; 0 is for group()
    std::vector<int> silent;
    std::vector<MPI_Request> answers;
    for (int r : group_->ranks) {
      if (r == context.rank) continue;
      silent.push_back(r);
      MPI_Request sent = MPI_REQUEST_NULL;
      MPI_Isend(nullptr, 0, MPI_BYTE, r, tag, context.control, &sent);
      if (sent != MPI_REQUEST_NULL) MPI_Request_free(&sent);
      MPI_Irecv(nullptr, 0, MPI_BYTE, r, tag, context.control, &answers.emplace_back(MPI_REQUEST_NULL));
    }
    const auto patience = std::min(timeout_, std::chrono::milliseconds(1000));
    poll_answers(MpiClock::now() + patience, silent, answers, [] {});
    return silent.empty() ? "all ranks wait for it (do they make the same calls in the same order?)"
                          : rank_list(silent) + " did not answer";
  }

  std::shared_ptr<MpiGroup> group_;
  Operation what_;
  std::int64_t step_;
  std::chrono::milliseconds timeout_;
  MpiClock::time_point deadline_;
  std::uint64_t call_ = 0;
  std::int64_t turn_ = -1;  // of the second stage, or -1
  std::vector<MPI_Request> requests_;
  std::vector<index_t> expected_;  // beside the requests: a message's elements, or -1
  std::unique_ptr<std::byte[]> scratch_;
  std::list<std::vector<int>> integers_;  // counts and displacements, which MPI reads until the stage is complete
  bool done_ = false;
};

inline void MpiContext::progress() {
  for (auto it = active.begin(); it != active.end();) it = (*it)->advance() ? active.erase(it) : std::next(it);
}

}  // namespace ashlar::inline v0::detail
