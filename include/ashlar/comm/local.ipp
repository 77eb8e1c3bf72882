// Definitions of local.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/comm/local.hpp"

namespace ashlar::inline v0 {
namespace detail {

/// A collective that this rank has called.
struct LocalCollective final : Request::State {
  LocalCollective(std::shared_ptr<LocalGroup> group, int rank, Clock::time_point deadline,
                  std::shared_ptr<LocalOperation> operation)
      : group_(std::move(group)), rank_(rank), deadline_(deadline), operation_(std::move(operation)) {}

  void wait(AnyQueue) override { group_->wait(rank_, *operation_, deadline_); }
  bool test() override {
    const std::lock_guard lock(group_->world->mutex);
    return operation_->over() || group_->world->dead >= 0 || Clock::now() >= deadline_;
  }
  void abandon() noexcept override { group_->abandon(rank_, *operation_); }

 private:
  std::shared_ptr<LocalGroup> group_;
  int rank_;
  Clock::time_point deadline_;
  std::shared_ptr<LocalOperation> operation_;
};

/// A posted receive. The message is handed over by the sender's thread, and copied out by the receiver's in wait().
struct LocalReceive final : Request::State {
  LocalReceive(std::shared_ptr<LocalGroup> group, int rank, Clock::time_point deadline, const Operation& what,
               void* target)
      : group_(std::move(group)), rank_(rank), deadline_(deadline), what_(what), target_(target) {}

  void wait(AnyQueue) override {
    LocalWorldState& world = *group_->world;
    {
      std::unique_lock lock(world.mutex);
      world.changed.wait_until(lock, deadline_, [&] { return over(); });
      if (!message->filled) give_up();
      if (message->sent.count != what_.count || message->sent.type != what_.type)
        throw CommError(concat(group_->error_start(rank_, what_), "it met a ", to_string(message->sent)));
    }
    copy_elements(target_, message->bytes.data(), what_.count, what_.type);
  }
  bool test() override {
    const std::lock_guard lock(group_->world->mutex);
    return over() || Clock::now() >= deadline_;
  }
  /// The message, if it comes, is dropped: nobody else has the buffer.
  void abandon() noexcept override {
    const std::lock_guard lock(group_->world->mutex);
    if (!message->filled) std::erase(line().expected, message);
  }

  std::shared_ptr<LocalMessage> message;

 private:
  LocalGroup::Line& line() { return group_->lines[{what_.peer, rank_, what_.channel}]; }
  bool over() const { return message->filled || group_->world->dead >= 0 || group_->rank_state(what_.peer).ended; }
  [[noreturn]] void give_up() {
    std::erase(line().expected, message);
    group_->check_alive(rank_, what_);
    const std::string peer = concat("rank ", group_->world_rank(what_.peer)), start = group_->error_start(rank_, what_);
    if (over()) throw CommError(start + peer + " ended without sending it");
    throw CommError(concat(start, "timed out after ", group_->rank_state(rank_).timeout.count(), " ms: ", peer,
                           " did not send it"));
  }

  std::shared_ptr<LocalGroup> group_;
  int rank_;
  Clock::time_point deadline_;
  Operation what_;
  void* target_;
};

/// One member of a LocalGroup. Collectives are carried out by the last rank to call them, in rank order; send copies.
class LocalBackend final : public HostBackend {
 public:
  LocalBackend(std::shared_ptr<LocalGroup> group, int rank) : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->ranks.size()); }

  Request all_reduce(AnyQueue, void* data, index_t count, DType type, Reduce op) override {
    return post({Operation::Kind::all_reduce, count, type, op}, {data, data});
  }
  Request all_gather(AnyQueue, const void* send, void* receive, index_t count, DType type) override {
    return post({Operation::Kind::all_gather, count, type}, {send, receive});
  }
  Request reduce_scatter(AnyQueue, const void* send, void* receive, index_t count, DType type, Reduce op) override {
    return post({Operation::Kind::reduce_scatter, count, type, op}, {send, receive});
  }
  Request all_to_all(AnyQueue, const void* send, std::span<const index_t> send_counts, void* receive,
                     std::span<const index_t> receive_counts, DType type) override {
    const auto n = static_cast<std::size_t>(size());
    check(send_counts.size() == n && receive_counts.size() == n, "all_to_all needs one count a rank");
    return post(
        {Operation::Kind::all_to_all, 0, type},
        {send, receive, {send_counts.begin(), send_counts.end()}, {receive_counts.begin(), receive_counts.end()}});
  }
  Request broadcast(AnyQueue, void* data, index_t count, DType type, int root) override {
    check(root >= 0 && root < size(), "the root of a broadcast is a rank of the group");
    return post({Operation::Kind::broadcast, count, type, Reduce::sum, root}, {data, data});
  }
  Request barrier() override { return post({Operation::Kind::barrier}, {}); }

  Request send(AnyQueue, const void* data, index_t count, DType type, int peer, Channel channel) override {
    const Operation what{Operation::Kind::send, count, type, Reduce::sum, peer, channel};
    const auto* bytes = static_cast<const std::byte*>(data);
    std::vector<std::byte> copy(bytes, bytes + static_cast<std::size_t>(count) * size_of(type));
    const std::lock_guard lock(group_->world->mutex);
    group_->check_alive(rank_, what);
    LocalGroup::Line& line = group_->lines[{rank_, peer, channel}];
    if (line.expected.empty()) {
      line.sent.push_back(std::make_shared<LocalMessage>(LocalMessage{what, std::move(copy), true}));
    } else {
      *line.expected.front() = {what, std::move(copy), true};
      line.expected.pop_front();
      group_->world->changed.notify_all();
    }
    return {};
  }
  Request receive(AnyQueue, void* data, index_t count, DType type, int peer, Channel channel) override {
    const Operation what{Operation::Kind::receive, count, type, Reduce::sum, peer, channel};
    auto state = std::make_shared<LocalReceive>(group_, rank_, deadline(), what, data);
    const std::lock_guard lock(group_->world->mutex);
    group_->check_alive(rank_, what);
    LocalGroup::Line& line = group_->lines[{peer, rank_, channel}];
    if (line.sent.empty()) {
      state->message = line.expected.emplace_back(std::make_shared<LocalMessage>());
    } else {
      state->message = line.sent.front();
      line.sent.pop_front();
    }
    return Request(std::move(state));
  }
  std::shared_ptr<HostBackend> group(std::span<const int> ranks, std::string name) override {
    std::vector<int> members;
    for (int r : ranks) {
      check(r >= 0 && r < size(), "a group is made of ranks of the group that it comes from");
      members.push_back(group_->world_rank(r));
    }
    const auto me = std::ranges::find(ranks, rank_) - ranks.begin();
    check(me < std::ssize(ranks), "a rank can't make a group that it does not belong to");
    LocalWorldState& world = *group_->world;
    const std::lock_guard lock(world.mutex);
    group_->check_alive(rank_, {Operation::Kind::group});
    LocalWorldState::Rendezvous& meeting = world.groups[{members, name}];
    const std::size_t call = meeting.calls[group_->world_rank(rank_)]++;
    if (call == meeting.groups.size())
      meeting.groups.push_back(std::make_shared<LocalGroup>(LocalGroup{group_->world, members, std::move(name)}));
    return std::make_shared<LocalBackend>(meeting.groups[call], static_cast<int>(me));
  }

  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) override {
    const std::lock_guard lock(group_->world->mutex);
    return std::exchange(group_->rank_state(rank_).timeout, timeout);
  }
  void set_step(std::int64_t step) override {
    const std::lock_guard lock(group_->world->mutex);
    group_->rank_state(rank_).step = step;
  }

 private:
  Request post(const Operation& what, LocalOperation::Part part) {
    check(what.count >= 0, "a communicator was asked for a negative count");
    const Clock::time_point until = deadline();
    return Request(std::make_shared<LocalCollective>(group_, rank_, until, group_->post(rank_, what, std::move(part))));
  }
  /// The rank's own timeout: only this thread writes it.
  Clock::time_point deadline() const { return Clock::now() + group_->rank_state(rank_).timeout; }

  std::shared_ptr<LocalGroup> group_;
  int rank_;
};

}  // namespace detail

ASHLAR_ONCE void LocalWorld::run(int size, const std::function<void(Communicator)>& body, LocalOptions options) {
  check(size >= 1, "a world has at least one rank");
  std::vector<int> ranks(static_cast<std::size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  auto world = std::make_shared<detail::LocalWorldState>(size, options.timeout);
  auto group = std::make_shared<detail::LocalGroup>(detail::LocalGroup{world, ranks, "world"});
  std::vector<std::exception_ptr> errors(ranks.size());
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r)
    threads.emplace_back([&, r] {
      std::exception_ptr& error = errors[static_cast<std::size_t>(r)];
      try {
        body(Communicator(std::make_shared<detail::LocalBackend>(group, r)));
        world->end(r);
      } catch (const std::exception& e) {
        error = std::current_exception();
        world->die(r, e.what());
      } catch (...) {
        error = std::current_exception();
        world->die(r, "an exception of unknown type");
      }
    });
  for (std::thread& thread : threads) thread.join();
  world->groups.clear();  // they hold the world that holds them
  if (world->dead >= 0 && errors[static_cast<std::size_t>(world->dead)])
    std::rethrow_exception(errors[static_cast<std::size_t>(world->dead)]);
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace ashlar::inline v0
