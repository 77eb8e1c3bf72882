// Definitions of fake.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/comm/fake.hpp"

namespace ashlar::inline v0 {
namespace detail {

/// A rank of a world that is not there. See Fake.
class FakeBackend final : public HostBackend {
 public:
  FakeBackend(int rank, int size, std::shared_ptr<FakeCounts> counts, std::string name, DType meta_float = DType::f32)
      : rank_(rank), size_(size), counts_(std::move(counts)), name_(std::move(name)), meta_float_(meta_float) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Request all_reduce(AnyQueue, void* data, index_t count, DType type, Reduce op) override {
    count_traffic(2 * (size_ - 1), ceil_div(2 * (size_ - 1) * bytes(count, type), size_));
    reduce(data, data, count, type, op);
    return {};
  }
  Request all_gather(AnyQueue, const void* send, void* receive, index_t count, DType type) override {
    count_traffic(size_ - 1, (size_ - 1) * bytes(count, type));
    if (send && receive)
      for (int r = 0; r < size_; ++r) copy_elements(advance(receive, r * count, type), send, count, type);
    return {};
  }
  Request reduce_scatter(AnyQueue, const void* send, void* receive, index_t count, DType type, Reduce op) override {
    count_traffic(size_ - 1, (size_ - 1) * bytes(count, type));
    if (send) reduce(advance(send, rank_ * count, type), receive, count, type, op);
    return {};
  }
  /// Every rank sends this one the block that this one sends itself, so with real buffers all receive_counts must equal
  /// that block's (as they do where the counts were exchanged through the same communicator).
  Request all_to_all(AnyQueue, const void* send, std::span<const index_t> send_counts, void* receive,
                     std::span<const index_t> receive_counts, DType type) override {
    const auto n = static_cast<std::size_t>(size_), me = static_cast<std::size_t>(rank_);
    check(send_counts.size() == n && receive_counts.size() == n, "all_to_all needs one count a rank");
    std::int64_t messages = 0, sent = 0;
    index_t own = 0;  // where the own block begins
    for (std::size_t r = 0; r < n; ++r) {
      if (r < me) own += send_counts[r];
      if (r == me || send_counts[r] == 0) continue;
      ++messages;
      sent += bytes(send_counts[r], type);
    }
    count_traffic(messages, sent);
    if (!send || !receive) return {};
    for (std::size_t r = 0; r < n; ++r) {
      if (receive_counts[r] != send_counts[me])
        fail(concat("a Fake rank receives from each rank what it sends itself, ", send_counts[me], " elements, not ",
                    receive_counts[r]));
      copy_elements(advance(receive, static_cast<index_t>(r) * send_counts[me], type), advance(send, own, type),
                    send_counts[me], type);
    }
    return {};
  }
  Request broadcast(AnyQueue, void*, index_t count, DType type, int root) override {
    check(root >= 0 && root < size_, "the root of a broadcast is a rank of the group");
    const bool last = (rank_ + 1) % size_ == root;
    count_traffic(last ? 0 : 1, last ? 0 : bytes(count, type));
    return {};
  }
  Request send(AnyQueue, const void*, index_t count, DType type, int, Channel) override {
    count_traffic(1, bytes(count, type));
    return {};
  }
  Request receive(AnyQueue, void* data, index_t count, DType type, int, Channel) override {
    if (data && count > 0) std::memset(data, 0, static_cast<std::size_t>(bytes(count, type)));
    return {};
  }
  Request barrier() override {
    count_traffic(std::bit_width(static_cast<unsigned>(size_ - 1)), 0);
    return {};
  }

  std::shared_ptr<HostBackend> group(std::span<const int> ranks, std::string name) override {
    const auto me = std::ranges::find(ranks, rank_) - ranks.begin();
    check(me < std::ssize(ranks), "a rank can't make a group that it does not belong to");
    return std::make_shared<FakeBackend>(static_cast<int>(me), static_cast<int>(ranks.size()), counts_, std::move(name),
                                         meta_float_);
  }
  /// Not possible: the colors of the other ranks are theirs to know.
  std::shared_ptr<HostBackend> split(int, int, std::string) override {
    fail("a Fake communicator can't split, because the other ranks' colors are unknown: use group(ranks, name)");
  }
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) override { return timeout; }
  void set_step(std::int64_t) override {}
  DType meta_float() const override { return meta_float_; }

 private:
  static std::int64_t bytes(index_t count, DType type) { return count * static_cast<index_t>(size_of(type)); }
  void count_traffic(std::int64_t messages, std::int64_t sent) {
    FakeCounts::Traffic& mine = counts_->axes[name_];
    mine = mine + FakeCounts::Traffic{messages, sent};
  }
  /// target = the reduction of `size` times the same source.
  void reduce(const void* source, void* target, index_t count, DType type, Reduce op) const {
    if (!source || !target) return;
    if (op == Reduce::max) return copy_elements(target, source, count, type);
    with_dtype(type, [&]<class T>(T) {
      using A = typename ReduceAcc<T>::type;
      const auto n = static_cast<A>(size_);
      const T* in = static_cast<const T*>(source);
      T* out = static_cast<T*>(target);
      for (index_t i = 0; i < count; ++i) out[i] = static_cast<T>(n * static_cast<A>(in[i]));
    });
  }

  int rank_, size_;
  std::shared_ptr<FakeCounts> counts_;
  std::string name_;
  DType meta_float_;
};

}  // namespace detail

ASHLAR_ONCE Communicator Fake::world(int rank, int size, std::shared_ptr<FakeCounts> counts, DType meta_float) {
  check(size >= 1 && rank >= 0 && rank < size, "a rank is one of 0 .. size - 1");
  return Communicator(std::make_shared<detail::FakeBackend>(rank, size, std::move(counts), "world", meta_float));
}

}  // namespace ashlar::inline v0
