// Staged: a device's memory over a backend that knows host memory alone, through copies on the host. How Cuda ranks
// talk where there is no Nccl, or fewer GPUs than ranks. Read next: comm/world.hpp.
#pragma once

#include <cstddef>
#include <numeric>
#include <vector>

#include "ashlar/comm/host_backend.hpp"
#include "ashlar/comm/reduce.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

/// Every operation waits for its queue, and wait() on the host for the peers: right, and slow. Results are on the
/// device for what comes on the queue after wait().
template <Device D>
class StagedBackend final : public DeviceBackend {
 public:
  using Queue = typename D::Queue;
  explicit StagedBackend(std::shared_ptr<HostBackend> host) : host_(std::move(host)) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }

  Request all_reduce(AnyQueue queue, void* data, index_t count, DType type, Reduce op) override {
    return stage(queue, data, count, data, count, type, [&](void* send, void* receive) {
      detail::copy_elements(receive, send, count, type);
      return host_->all_reduce(queue, receive, count, type, op);
    });
  }
  Request all_reduce_each(AnyQueue queue, std::span<const Buffer> buffers, Reduce op) override {
    auto all = std::make_shared<detail::SeveralRequests>();
    for (const Buffer& b : buffers) all->parts.push_back(all_reduce(queue, b.data, b.count, b.type, op));
    return Request(std::move(all), queue);
  }
  Request all_gather(AnyQueue queue, const void* send, void* receive, index_t count, DType type) override {
    return stage(queue, send, count, receive, count * size(), type,
                 [&](void* from, void* to) { return host_->all_gather(queue, from, to, count, type); });
  }
  Request reduce_scatter(AnyQueue queue, const void* send, void* receive, index_t count, DType type,
                         Reduce op) override {
    return stage(queue, send, count * size(), receive, count, type,
                 [&](void* from, void* to) { return host_->reduce_scatter(queue, from, to, count, type, op); });
  }
  Request all_to_all(AnyQueue queue, const void* send, std::span<const index_t> send_counts, void* receive,
                     std::span<const index_t> receive_counts, DType type) override {
    const auto total = [](std::span<const index_t> n) { return std::accumulate(n.begin(), n.end(), index_t{0}); };
    return stage(queue, send, total(send_counts), receive, total(receive_counts), type, [&](void* from, void* to) {
      return host_->all_to_all(queue, from, send_counts, to, receive_counts, type);
    });
  }
  Request broadcast(AnyQueue queue, void* data, index_t count, DType type, int root) override {
    return stage(queue, data, rank() == root ? count : 0, data, count, type, [&](void* send, void* receive) {
      if (rank() == root) detail::copy_elements(receive, send, count, type);
      return host_->broadcast(queue, receive, count, type, root);
    });
  }
  Request send(AnyQueue queue, const void* data, index_t count, DType type, int peer, Channel channel) override {
    return stage(queue, data, count, nullptr, 0, type,
                 [&](void* from, void*) { return host_->send(queue, from, count, type, peer, channel); });
  }
  Request receive(AnyQueue queue, void* data, index_t count, DType type, int peer, Channel channel) override {
    return stage(queue, nullptr, 0, data, count, type,
                 [&](void*, void* to) { return host_->receive(queue, to, count, type, peer, channel); });
  }
  std::shared_ptr<DeviceBackend> over(std::shared_ptr<HostBackend> host, std::string) override {
    return std::make_shared<StagedBackend>(std::move(host));
  }
  /// Are the host's.
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) override { return timeout; }
  void set_step(std::int64_t) override {}

 private:
  struct State final : Request::State {
    void* receive = nullptr;
    std::vector<std::byte> host_send, host_receive;
    Request inner;

    void wait(AnyQueue queue) override {
      inner.wait();
      if (!host_receive.empty()) D::upload(queue.as<Queue>(), receive, host_receive.data(), host_receive.size());
    }
    bool test() override { return inner.test(); }
    void abandon() noexcept override { inner.abandon(); }
  };

  /// begin(send, receive) begins the operation of the host's, between copies of these.
  template <class Begin>
  Request stage(AnyQueue queue, const void* send, index_t send_count, void* receive, index_t receive_count, DType type,
                Begin&& begin) {
    auto s = std::make_shared<State>();
    s->receive = receive;
    s->host_send.resize(static_cast<std::size_t>(send_count) * size_of(type));
    s->host_receive.resize(static_cast<std::size_t>(receive_count) * size_of(type));
    D::synchronize(queue.as<Queue>());
    if (!s->host_send.empty()) D::download(queue.as<Queue>(), s->host_send.data(), send, s->host_send.size());
    s->inner = begin(s->host_send.data(), s->host_receive.data());
    return Request(std::move(s), queue);
  }

  std::shared_ptr<HostBackend> host_;
};

}  // namespace ashlar::inline v0
