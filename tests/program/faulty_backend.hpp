// A communicator with a fault: one operation of one group does something wrong, everything else is as it should be.
#pragma once

#include <cstring>
#include <deque>
#include <vector>

#include "ashlar/comm/communicator.hpp"

namespace ashlar::test {

/// Faults of tensors of f64: what control exchanges (single values, integers) goes through.
struct Fault {
  enum class Kind {
    none,
    no_all_reduce,          // each rank keeps what it has
    rotated_gather,         // rank 1 takes the blocks in another order
    unsummed_scatter,       // each rank keeps its block of its own partial sums
    first_row_lost,         // rank 1 sends zeros for the first row of an exchange
    gradient_sign_flipped,  // of what goes back through the pipeline
  } kind = Kind::none;
  std::string group;
};

class FaultyBackend final : public HostBackend {
 public:
  FaultyBackend(std::shared_ptr<HostBackend> inner, std::string name, Fault fault)
      : inner_(std::move(inner)), name_(std::move(name)), fault_(std::move(fault)) {}
  static Communicator world(const Communicator& world, const Fault& fault) {
    return Communicator(std::make_shared<FaultyBackend>(world.host_backend(), "world", fault));
  }

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Request all_reduce(AnyQueue q, void* data, index_t count, DType type, Reduce op) override {
    if (is(Fault::Kind::no_all_reduce, type) && count > 1) return {};
    return inner_->all_reduce(q, data, count, type, op);
  }
  Request all_gather(AnyQueue q, const void* send, void* receive, index_t count, DType type) override {
    if (!is(Fault::Kind::rotated_gather, type)) return inner_->all_gather(q, send, receive, count, type);
    inner_->all_gather(q, send, receive, count, type).wait();
    auto* const all = static_cast<double*>(receive);
    if (rank() == 1) std::rotate(all, all + count, all + count * size());
    return {};
  }
  Request reduce_scatter(AnyQueue q, const void* send, void* receive, index_t count, DType type, Reduce op) override {
    if (!is(Fault::Kind::unsummed_scatter, type)) return inner_->reduce_scatter(q, send, receive, count, type, op);
    std::memmove(receive, static_cast<const double*>(send) + count * rank(),
                 static_cast<std::size_t>(count) * sizeof(double));
    return {};
  }
  Request all_to_all(AnyQueue q, const void* send, std::span<const index_t> send_counts, void* receive,
                     std::span<const index_t> receive_counts, DType type) override {
    if (!is(Fault::Kind::first_row_lost, type) || rank() != 1)
      return inner_->all_to_all(q, send, send_counts, receive, receive_counts, type);
    const auto* const all = static_cast<const double*>(send);
    std::vector<double> copy(all, all + std::accumulate(send_counts.begin(), send_counts.end(), index_t{0}));
    std::fill_n(copy.begin(), std::min<std::ptrdiff_t>(32, std::ssize(copy)), 0.0);
    inner_->all_to_all(q, copy.data(), send_counts, receive, receive_counts, type).wait();
    return {};
  }
  Request broadcast(AnyQueue q, void* data, index_t count, DType type, int root) override {
    return inner_->broadcast(q, data, count, type, root);
  }
  Request send(AnyQueue q, const void* data, index_t count, DType type, int peer, Channel channel) override {
    if (!is(Fault::Kind::gradient_sign_flipped, type) || !channel.gradient)
      return inner_->send(q, data, count, type, peer, channel);
    auto& copy = sent_.emplace_back(static_cast<const double*>(data), static_cast<const double*>(data) + count);
    for (double& x : copy) x = -x;
    return inner_->send(q, copy.data(), count, type, peer, channel);
  }
  Request receive(AnyQueue q, void* data, index_t count, DType type, int peer, Channel channel) override {
    return inner_->receive(q, data, count, type, peer, channel);
  }
  void connect(int source, int destination, Channel channel) override { inner_->connect(source, destination, channel); }
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds t) override { return inner_->set_timeout(t); }
  void set_step(std::int64_t step) override { inner_->set_step(step); }
  Request barrier() override { return inner_->barrier(); }
  std::shared_ptr<HostBackend> group(std::span<const int> ranks, std::string name) override {
    return std::make_shared<FaultyBackend>(inner_->group(ranks, name), name, fault_);
  }

 private:
  bool is(Fault::Kind kind, DType type) const {
    return fault_.kind == kind && fault_.group == name_ && type == DType::f64;
  }

  std::shared_ptr<HostBackend> inner_;
  std::string name_;
  Fault fault_;
  std::deque<std::vector<double>> sent_;
};

}  // namespace ashlar::test
