// Communicator: a group of ranks that exchange tensors, on the host and on the device of a run. One handle over a
// backend for the host's memory (Local, Mpi, Fake) and one for the device's (Staged, Nccl), so that modules are not
// instantiated anew for each. tests/comm/laws.hpp is what it promises. Read next: comm/local.hpp, comm/world.hpp.
#pragma once

#include <numeric>

#include "ashlar/comm/host_backend.hpp"
#include "ashlar/comm/row_counts.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0 {

/// The handle that modules and strategies hold. Copies share the group. A default-made Communicator is the group of
/// one: every operation on it is a copy on the queue, or nothing.
///
/// Operations take contiguous views and a queue of their device D. One begins when what is on the queue so far is done;
/// Request::wait lets what comes on the queue later see its result. All ranks of the group call the same collectives in
/// the same order, on views of the same size unless it says otherwise. Errors are CommError: which rank noticed, in
/// which operation and step, and who is to blame.
class Communicator {
 public:
  Communicator() = default;
  explicit Communicator(std::shared_ptr<HostBackend> host, std::shared_ptr<DeviceBackend> device = nullptr)
      : host_(std::move(host)), device_(std::move(device)) {}

  int rank() const { return host_ ? host_->rank() : 0; }
  int size() const { return host_ ? host_->size() : 1; }
  /// Null for the group of one, and for a group that knows host memory alone.
  const std::shared_ptr<HostBackend>& host_backend() const { return host_; }
  const std::shared_ptr<DeviceBackend>& device_backend() const { return device_; }

  // ---- tensors, on a queue ----

  /// `data` becomes the reduction over all ranks; the same bits on every rank.
  template <class T, class D>
  Request all_reduce(typename D::Queue& queue, TensorView<T, D> data, Reduce op = Reduce::sum) {
    if (size() == 1) return {};
    return backend_of<D>().all_reduce(AnyQueue(queue), packed(data).data(), data.count(), type_of<T>(), op);
  }
  /// The same for many tensors, of sizes and types of their own, as one operation.
  template <class D>
  class ReduceView {
   public:
    template <class T>
    ReduceView(TensorView<T, D> data)  // NOLINT: implicit, so that a list of views is a list of these
        : data_(packed(data).data()),
          count_(data.count()),
          type_([](const Communicator& c) { return c.type_of<T>(); }) {}

   private:
    friend class Communicator;
    void* data_;
    index_t count_;
    DType (*type_)(const Communicator&);
  };
  template <class D>
  Request all_reduce_each(typename D::Queue& queue, std::span<const ReduceView<D>> data, Reduce op = Reduce::sum) {
    if (size() == 1) return {};
    std::vector<Buffer> buffers;
    for (const ReduceView<D>& d : data) buffers.push_back({d.data_, d.count_, d.type_(*this)});
    return backend_of<D>().all_reduce_each(AnyQueue(queue), buffers, op);
  }
  /// receive [size n] becomes the ranks' send [n], in rank order. `send` may be its own block of `receive`.
  template <class T, class D>
  Request all_gather(typename D::Queue& queue, In<T, D> send, TensorView<T, D> receive) {
    check_count("all_gather", "receives", receive.count(), size() * send.count());
    if (size() == 1) return copy_alone<T, D>(queue, send, receive);
    return backend_of<D>().all_gather(AnyQueue(queue), packed(send).data(), packed(receive).data(), send.count(),
                                      type_of<T>());
  }
  /// receive [n] becomes this rank's block of the reduction of send [size n]. It may be its own block of `send`.
  template <class T, class D>
  Request reduce_scatter(typename D::Queue& queue, In<T, D> send, TensorView<T, D> receive, Reduce op = Reduce::sum) {
    check_count("reduce_scatter", "sends", send.count(), size() * receive.count());
    if (size() == 1) return copy_alone<T, D>(queue, send, receive);
    return backend_of<D>().reduce_scatter(AnyQueue(queue), packed(send).data(), packed(receive).data(), receive.count(),
                                          type_of<T>(), op);
  }
  /// Rows of `send` go to the ranks, and rows from them come to `receive`, packed in rank order. Views of one dimension
  /// have rows of one element. Views may have more rows than the counts say.
  template <class T, class D>
  Request all_to_all(typename D::Queue& queue, In<T, D> send, TensorView<T, D> receive, const RowCounts<D>& rows) {
    const index_t width = row_width(receive);
    if (width != row_width(send))
      fail(concat("all_to_all: rows of ", row_width(send), " elements are sent, of ", width, " received"));
    const auto elements = [&](std::vector<index_t> counts, const char* what, index_t room) {
      if (std::ssize(counts) != size()) fail(concat("all_to_all takes one count a rank, not ", counts.size()));
      for (index_t& n : counts) n *= width;
      if (const index_t all = std::accumulate(counts.begin(), counts.end(), index_t{0}); all > room)
        fail(concat("all_to_all ", what, " ", all, " elements, and the view has ", room));
      return counts;
    };
    const std::vector<index_t> sent = elements(rows.sent(queue), "sends", send.count()),
                               received = elements(rows.received(queue), "receives", receive.count());
    if (size() == 1) {
      if (sent[0] != received[0]) fail("all_to_all: a rank receives from itself what it sends to itself");
      return copy_alone<T, D>(queue, {send.data(), {sent[0]}}, {receive.data(), {sent[0]}});
    }
    return backend_of<D>().all_to_all(AnyQueue(queue), packed(send).data(), sent, packed(receive).data(), received,
                                      type_of<T>());
  }
  /// `data` becomes that of rank `root` of the group.
  template <class T, class D>
  Request broadcast(typename D::Queue& queue, TensorView<T, D> data, int root) {
    if (root < 0 || root >= size()) fail(concat("rank ", root, " is no root in a group of ", size()));
    if (size() == 1) return {};
    return backend_of<D>().broadcast(AnyQueue(queue), packed(data).data(), data.count(), type_of<T>(), root);
  }
  /// Messages arrive in the order in which they were sent on their channel. Both ends use each channel in one order;
  /// across channels any order will do. A rank may not send to itself.
  template <class T, class D>
  Request send(typename D::Queue& queue, TensorView<T, D> data, int peer, Channel channel) {
    check_peer(peer);
    return backend_of<D>().send(AnyQueue(queue), packed(data).data(), data.count(), type_of<T>(), peer, channel);
  }
  template <class T, class D>
  Request receive(typename D::Queue& queue, TensorView<T, D> data, int peer, Channel channel) {
    check_peer(peer);
    return backend_of<D>().receive(AnyQueue(queue), packed(data).data(), data.count(), type_of<T>(), peer, channel);
  }
  /// Prepares a channel for messages in D's memory. Both ends call it, before the first message: where ranks have many
  /// channels, all of them in one order (say, that of Channel), or they wait for each other. A channel that was not
  /// prepared is at its first message, which then waits for the other end.
  template <class D>
  void connect(int source, int destination, Channel channel) {
    check_peer(source == rank() ? destination : source);
    backend_of<D>().connect(source, destination, channel);
  }

  // ---- values of the host, for control: these wait ----

  /// Reduces values in place, over all ranks.
  template <class T>
  void reduce_values(std::span<T> values, Reduce op = Reduce::sum) {
    Cpu::Queue here;
    check_device();
    all_reduce<T, Cpu>(here, {values.data(), {std::ssize(values)}}, op).wait(here);
  }
  template <class T>
  T reduce_value(T value, Reduce op = Reduce::sum) {
    reduce_values(std::span<T>(&value, 1), op);
    return value;
  }
  /// The value that `root` gave.
  template <class T>
  T broadcast_value(T value, int root) {
    Cpu::Queue here;
    check_device();
    broadcast<T, Cpu>(here, {&value, {1}}, root).wait(here);
    return value;
  }
  /// The ranks' values, by rank.
  template <class T>
  std::vector<T> gather_values(const T& value) {
    Cpu::Queue here;
    check_device();
    std::vector<T> all(static_cast<std::size_t>(size()));
    all_gather<T, Cpu>(here, TensorView<const T, Cpu>(&value, {1}), {all.data(), {size()}}).wait(here);
    return all;
  }
  /// Returns when all ranks' hosts have called it.
  void barrier() {
    check_device();
    if (size() > 1) host_->barrier().wait();
  }

  // ---- groups ----

  /// The group of these ranks of this group, in this order. Collective among them alone. `name` (an axis) appears in
  /// errors and counts.
  Communicator group(std::span<const int> ranks, const std::string& name) {
    return host_ && ranks.size() > 1 ? beside(host_->group(ranks, name), name) : Communicator();
  }
  /// The ranks that gave the same color, ordered by key, then by rank. Collective. A negative color joins no group: the
  /// result is the group of one.
  Communicator split(int color, int key, const std::string& name) {
    return host_ ? beside(host_->split(color, key, name), name) : Communicator();
  }
  /// Returns the timeout before.
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) {
    if (device_) device_->set_timeout(timeout);
    return host_ ? host_->set_timeout(timeout) : timeout;
  }
  void set_step(std::int64_t step) {
    if (device_) device_->set_step(step);
    if (host_) host_->set_step(step);
  }

 private:
  Communicator beside(std::shared_ptr<HostBackend> host, const std::string& name) const {
    return Communicator(host, device_ && host ? device_->over(host, name) : nullptr);
  }
  template <class D>
  CommunicatorBackend& backend_of() const {
    if constexpr (std::is_same_v<D, Cpu> || !D::has_storage) {
      return *host_;
    } else {
      if (!device_)
        fail(concat("this group of ", size(), " ranks knows the host's memory alone, not that of ", D::name,
                    ": make its world by world_on (ashlar/comm/world.hpp)"));
      return *device_;
    }
  }
  void check_device() {
    if (device_) device_->check_alive();
  }
  void check_peer(int peer) const {
    if (peer < 0 || peer >= size() || peer == rank())
      fail(concat("rank ", rank(), " of a group of ", size(), " can't exchange messages with rank ", peer));
  }
  static void check_count(const char* operation, const char* what, index_t count, index_t expected) {
    if (count != expected) fail(concat(operation, " ", what, " ", expected, " elements, and the view has ", count));
  }
  template <class T, class D>
  static const TensorView<T, D>& packed(const TensorView<T, D>& view) {
    if (!view.contiguous())
      fail("a communicator takes contiguous views, not " + to_string(view.shape()) + " with gaps");
    return view;
  }
  template <class T, class D>
  static index_t row_width(const TensorView<T, D>& view) {
    return view.rank() < 2 ? 1 : view.cols();
  }
  template <class T>
  DType type_of() const {
    if constexpr (std::is_same_v<std::remove_const_t<T>, MetaFloat>)
      return host_->meta_float();
    else
      return dtype_of<T>;
  }
  template <class T, class D>
  static Request copy_alone(typename D::Queue& queue, TensorView<const T, D> from, TensorView<T, D> to) {
    if (from.data() != to.data())
      D::copy(queue, to.data(), from.data(), static_cast<std::size_t>(packed(from).count()) * sizeof(T));
    static_cast<void>(packed(to));
    return {};
  }

  std::shared_ptr<HostBackend> host_;
  std::shared_ptr<DeviceBackend> device_;
};

}  // namespace ashlar::inline v0
