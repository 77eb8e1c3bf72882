// NcclBackend: the operations of one group over NCCL. Needs ASHLAR_WITH_NCCL. Made by comm/nccl.hpp.
#pragma once

#include "ashlar/comm/nccl_context.hpp"

#if ASHLAR_WITH_NCCL

#include <map>
#include <tuple>

#include "ashlar/comm/host_backend.hpp"

namespace ashlar::inline v0::detail {

inline ncclDataType_t nccl_type(DType type) {
  switch (type) {
    case DType::f32: return ncclFloat32;
    case DType::f64: return ncclFloat64;
    case DType::bf16: return ncclBfloat16;
    case DType::i32: return ncclInt32;
    case DType::u8: return ncclUint8;
    case DType::i64: return ncclInt64;
  }
  return ncclFloat32;
}
inline ncclRedOp_t nccl_op(Reduce op) {
  return op == Reduce::sum ? ncclSum : ncclMax;
}

/// A group over NCCL. Its collectives have a line of their own, made at the first of them: an axis that only the hosts
/// use costs nothing. NCCL adds in an order of its own, the same for all ranks, and the largest of values with a NaN
/// may be another one. Each channel of messages has a line too: NCCL's messages have an order and no names, and one
/// that waits for its peer holds up what comes after it on its line.
class NcclBackend final : public DeviceBackend {
 public:
  NcclBackend(std::shared_ptr<NcclContext> context, std::shared_ptr<HostBackend> host, std::string name)
      : context_(std::move(context)), host_(std::move(host)), name_(std::move(name)) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }

  Request all_reduce(AnyQueue queue, void* data, index_t count, DType type, Reduce op) override {
    return run(queue, {Kind::all_reduce, count, type, op}, [&](ncclComm_t comm, cudaStream_t stream) {
      return ncclAllReduce(data, data, elements(count), nccl_type(type), nccl_op(op), comm, stream);
    });
  }
  Request all_reduce_each(AnyQueue queue, std::span<const Buffer> buffers, Reduce op) override {
    index_t count = 0;
    for (const Buffer& b : buffers) count += b.count;
    const DType type = buffers.empty() ? DType::u8 : buffers[0].type;
    return run(queue, {Kind::all_reduce, count, type, op}, [&](ncclComm_t comm, cudaStream_t stream) {
      return together([&](auto&& each) {
        for (const Buffer& b : buffers)
          if (b.count > 0)
            each(ncclAllReduce(b.data, b.data, elements(b.count), nccl_type(b.type), nccl_op(op), comm, stream));
      });
    });
  }
  Request all_gather(AnyQueue queue, const void* send, void* receive, index_t count, DType type) override {
    return run(queue, {Kind::all_gather, count, type}, [&](ncclComm_t comm, cudaStream_t stream) {
      return ncclAllGather(send, receive, elements(count), nccl_type(type), comm, stream);
    });
  }
  Request reduce_scatter(AnyQueue queue, const void* send, void* receive, index_t count, DType type,
                         Reduce op) override {
    return run(queue, {Kind::reduce_scatter, count, type, op}, [&](ncclComm_t comm, cudaStream_t stream) {
      return ncclReduceScatter(send, receive, elements(count), nccl_type(type), nccl_op(op), comm, stream);
    });
  }
  inline Request all_to_all(AnyQueue queue, const void* send, std::span<const index_t> send_counts, void* receive,
                            std::span<const index_t> receive_counts, DType type) override;
  Request broadcast(AnyQueue queue, void* data, index_t count, DType type, int root) override {
    return run(queue, {Kind::broadcast, count, type, Reduce::sum, root}, [&](ncclComm_t comm, cudaStream_t stream) {
      return ncclBroadcast(data, data, elements(count), nccl_type(type), root, comm, stream);
    });
  }
  Request send(AnyQueue queue, const void* data, index_t count, DType type, int peer, Channel channel) override {
    return context_->run(channel_line(rank(), peer, channel), queue, name_,
                         {Kind::send, count, type, Reduce::sum, peer, channel},
                         [&](ncclComm_t comm, cudaStream_t stream) {
                           return ncclSend(data, elements(count), nccl_type(type), 1, comm, stream);
                         });
  }
  Request receive(AnyQueue queue, void* data, index_t count, DType type, int peer, Channel channel) override {
    return context_->run(channel_line(peer, rank(), channel), queue, name_,
                         {Kind::receive, count, type, Reduce::sum, peer, channel},
                         [&](ncclComm_t comm, cudaStream_t stream) {
                           return ncclRecv(data, elements(count), nccl_type(type), 0, comm, stream);
                         });
  }
  void connect(int source, int destination, Channel channel) override { channel_line(source, destination, channel); }
  std::shared_ptr<DeviceBackend> over(std::shared_ptr<HostBackend> host, std::string name) override {
    return std::make_shared<NcclBackend>(context_, std::move(host), std::move(name));
  }
  void check_alive() override { context_->check_alive(); }
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) override {
    return context_->set_timeout(timeout);
  }
  void set_step(std::int64_t step) override { context_->step = step; }

 private:
  using Kind = Operation::Kind;
  static std::size_t elements(index_t count) { return static_cast<std::size_t>(count); }
  std::string error_start(const Operation& what) const {
    return comm_error_start(context_->rank(), context_->step, name_, what);
  }
  /// calls(each) with each(result) for every call of a group of calls; the first result that is an error, or the end's.
  template <class Calls>
  static ncclResult_t together(Calls&& calls) {
    ncclResult_t first = ncclGroupStart();
    calls([&](ncclResult_t result) {
      if (first == ncclSuccess && result != ncclInProgress) first = result;
    });
    const ncclResult_t end = ncclGroupEnd();
    return first == ncclSuccess ? end : first;
  }
  template <class Call>
  Request run(AnyQueue queue, const Operation& what, Call&& call) {
    return context_->run(collectives(), queue, name_, what, call);
  }
  inline NcclLine& collectives();
  inline NcclLine& channel_line(int source, int destination, Channel channel);

  std::shared_ptr<NcclContext> context_;
  std::shared_ptr<HostBackend> host_;
  std::string name_;
  NcclLine* collectives_ = nullptr;
  std::map<std::tuple<int, int, Channel>, NcclLine*> channels_;  // by source, destination, channel
};

/// One message for each pair of ranks that have rows to exchange, all at once.
inline Request NcclBackend::all_to_all(AnyQueue queue, const void* send, std::span<const index_t> send_counts,
                                       void* receive, std::span<const index_t> receive_counts, DType type) {
  const auto n = static_cast<std::size_t>(size());
  check(send_counts.size() == n && receive_counts.size() == n, "all_to_all needs one count a rank");
  return run(queue, {Kind::all_to_all, 0, type}, [&](ncclComm_t comm, cudaStream_t stream) {
    return together([&](auto&& each) {
      const std::byte* from = static_cast<const std::byte*>(send);
      std::byte* to = static_cast<std::byte*>(receive);
      for (std::size_t r = 0; r < n; ++r) {
        const int peer = static_cast<int>(r);
        if (send_counts[r] > 0) each(ncclSend(from, elements(send_counts[r]), nccl_type(type), peer, comm, stream));
        if (receive_counts[r] > 0) each(ncclRecv(to, elements(receive_counts[r]), nccl_type(type), peer, comm, stream));
        from += elements(send_counts[r]) * size_of(type);
        to += elements(receive_counts[r]) * size_of(type);
      }
    });
  });
}

inline NcclLine& NcclBackend::collectives() {
  if (collectives_) return *collectives_;
  const std::string start = error_start({Kind::group});
  ncclUniqueId id{};
  if (rank() == 0 && ncclGetUniqueId(&id) != ncclSuccess)
    fail(concat(start, "ncclGetUniqueId failed: ", std::string_view(ncclGetLastError(nullptr))));
  Cpu::Queue here;
  host_->broadcast(AnyQueue(here), &id, sizeof id, DType::u8, 0).wait();
  return *(collectives_ = &context_->add_line(id, rank(), size(), 0, start));
}

/// The source is rank 0 of the line, the destination rank 1. A first message of one byte connects the two GPUs now, as
/// NCCL would at the first message, where it might hold up a pipeline whose ends are at different channels.
inline NcclLine& NcclBackend::channel_line(int source, int destination, Channel channel) {
  NcclLine*& line = channels_[{source, destination, channel}];
  if (line) return *line;
  const bool first = source == rank();
  const std::string start = error_start(
      {first ? Kind::send : Kind::receive, 0, DType::u8, Reduce::sum, first ? destination : source, channel});
  ncclUniqueId id{};
  Cpu::Queue here;
  if (first) {
    if (ncclGetUniqueId(&id) != ncclSuccess)
      fail(concat(start, "ncclGetUniqueId failed: ", std::string_view(ncclGetLastError(nullptr))));
    host_->send(AnyQueue(here), &id, sizeof id, DType::u8, destination, channel).wait();
  } else {
    host_->receive(AnyQueue(here), &id, sizeof id, DType::u8, source, channel).wait();
  }
  constexpr int blocks = 8;  // of a message: it may wait for its peer beside the stage's kernels
  NcclLine& made = context_->add_line(id, first ? 0 : 1, 2, blocks, start);
  context_->greet(made, first, start);
  return *(line = &made);
}

}  // namespace ashlar::inline v0::detail

#endif
