// Staged: lets a backend that knows host memory alone exchange buffers of a device, through copies on the host. How
// Cuda ranks talk over Local and Mpi; on devices whose memory is the host's it is not used. Read next:
// comm/communicator.hpp.
#pragma once

#include <cstddef>
#include <numeric>
#include <vector>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

/// Wraps `inner`. Every operation waits for the queue; results are on the device after wait(). The queue outlives it.
template <Device D>
class StagedBackend final : public CommunicatorBackend {
 public:
  using Queue = typename D::Queue;
  StagedBackend(std::shared_ptr<CommunicatorBackend> inner, Queue& queue) : inner_(std::move(inner)), queue_(&queue) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }

  Request all_reduce(void* data, index_t count, DType type, Reduce op) override {
    auto s = stage(data, count, data, count, type);
    s->host_receive = s->host_send;
    s->inner = inner_->all_reduce(s->host_receive.data(), count, type, op);
    return Request(s);
  }
  Request all_gather(const void* send, void* receive, index_t count, DType type) override {
    auto s = stage(send, count, receive, count * size(), type);
    s->inner = inner_->all_gather(s->host_send.data(), s->host_receive.data(), count, type);
    return Request(s);
  }
  Request reduce_scatter(const void* send, void* receive, index_t count, DType type, Reduce op) override {
    auto s = stage(send, count * size(), receive, count, type);
    s->inner = inner_->reduce_scatter(s->host_send.data(), s->host_receive.data(), count, type, op);
    return Request(s);
  }
  Request all_to_all(const void* send, std::span<const index_t> send_counts, void* receive,
                     std::span<const index_t> receive_counts, DType type) override {
    const auto total = [](std::span<const index_t> n) { return std::accumulate(n.begin(), n.end(), index_t{0}); };
    auto s = stage(send, total(send_counts), receive, total(receive_counts), type);
    s->inner = inner_->all_to_all(s->host_send.data(), send_counts, s->host_receive.data(), receive_counts, type);
    return Request(s);
  }
  Request broadcast(void* data, index_t count, DType type, int root) override {
    auto s = stage(data, rank() == root ? count : 0, data, count, type);
    if (rank() == root) s->host_receive = s->host_send;
    s->inner = inner_->broadcast(s->host_receive.data(), count, type, root);
    return Request(s);
  }
  Request send(const void* data, index_t count, DType type, int peer, int tag) override {
    auto s = stage(data, count, nullptr, 0, type);
    s->inner = inner_->send(s->host_send.data(), count, type, peer, tag);
    return Request(s);
  }
  Request receive(void* data, index_t count, DType type, int peer, int tag) override {
    auto s = stage(nullptr, 0, data, count, type);
    s->inner = inner_->receive(s->host_receive.data(), count, type, peer, tag);
    return Request(s);
  }
  Request barrier() override {
    D::synchronize(*queue_);
    return inner_->barrier();
  }
  std::shared_ptr<CommunicatorBackend> group(std::span<const int> ranks, std::string name) override {
    return std::make_shared<StagedBackend>(inner_->group(ranks, std::move(name)), *queue_);
  }
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) override {
    return inner_->set_timeout(timeout);
  }
  void set_step(std::int64_t step) override { inner_->set_step(step); }

 private:
  struct State final : Request::State {
    Queue* queue = nullptr;
    void* receive = nullptr;
    std::vector<std::byte> host_send, host_receive;
    Request inner;

    void wait() override {
      inner.wait();
      if (!host_receive.empty()) D::upload(*queue, receive, host_receive.data(), host_receive.size());
    }
    bool test() override { return inner.test(); }
  };

  std::shared_ptr<State> stage(const void* send, index_t send_count, void* receive, index_t receive_count, DType type) {
    auto s = std::make_shared<State>();
    s->queue = queue_;
    s->receive = receive;
    s->host_send.resize(static_cast<std::size_t>(send_count) * size_of(type));
    s->host_receive.resize(static_cast<std::size_t>(receive_count) * size_of(type));
    D::synchronize(*queue_);
    if (!s->host_send.empty()) D::download(*queue_, s->host_send.data(), send, s->host_send.size());
    return s;
  }

  std::shared_ptr<CommunicatorBackend> inner_;
  Queue* queue_;
};

}  // namespace ashlar::inline v0
