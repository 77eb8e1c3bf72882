// HostBackend: a group of ranks over the host's memory, which is also where groups are made. Implemented by
// comm/local.hpp, comm/mpi.hpp and comm/fake.hpp. Read next: comm/communicator.hpp.
#pragma once

#include <cstring>

#include "ashlar/comm/backend.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0 {

/// A group of ranks over the host's memory. It makes the groups.
class HostBackend : public CommunicatorBackend {
 public:
  /// By default one all_reduce for each run of buffers of one type, over a copy of them.
  inline Request all_reduce_each(AnyQueue, std::span<const Buffer>, Reduce) override;
  virtual Request barrier() = 0;
  /// The group of these ranks (ranks of this group, each once, in the new order). Collective among them alone: they
  /// call it with equal arguments and in the same order; the others do not call it.
  virtual std::shared_ptr<HostBackend> group(std::span<const int> ranks, std::string name) = 0;
  /// The ranks that gave the same color, ordered by (key, rank). Null for a negative color.
  inline virtual std::shared_ptr<HostBackend> split(int color, int key, std::string name);
  /// What a MetaFloat stands for. Only where nothing is sent can there be any.
  virtual DType meta_float() const { return DType::f32; }

 private:
  std::shared_ptr<HostBackend> split_by_color(int color, int key, std::string name);
  Request all_reduce_packed(AnyQueue, std::span<const Buffer>, Reduce);
};

inline std::shared_ptr<HostBackend> HostBackend::split(int color, int key, std::string name) {
  return split_by_color(color, key, std::move(name));
}

namespace detail {

/// The reduction of a copy of several buffers of one type, which are spread again when it is there.
class PackedReduction final : public Request::State {
 public:
  explicit PackedReduction(std::span<const Buffer> buffers) : buffers_(buffers.begin(), buffers.end()) {
    for (const Buffer& b : buffers_) count_ += b.count;
    if (std::ranges::any_of(buffers_, [](const Buffer& b) { return b.count > 0 && !b.data; })) return;  // a plan's
    copy_.resize(static_cast<std::size_t>(count_) * size_of(buffers_[0].type));
    for_each_part([](void* buffer, std::byte* part, std::size_t bytes) { std::memcpy(part, buffer, bytes); });
  }
  void* data() { return copy_.empty() ? nullptr : copy_.data(); }
  index_t count() const { return count_; }
  Request whole;

  void wait(AnyQueue) override {
    whole.wait();
    for_each_part([](void* buffer, std::byte* part, std::size_t bytes) { std::memcpy(buffer, part, bytes); });
  }
  bool test() override { return whole.test(); }
  void abandon() noexcept override { whole.abandon(); }

 private:
  template <class F>
  void for_each_part(F&& f) {
    if (copy_.empty()) return;
    std::byte* part = copy_.data();
    for (const Buffer& b : buffers_) {
      const std::size_t bytes = static_cast<std::size_t>(b.count) * size_of(b.type);
      if (bytes > 0) f(b.data, part, bytes);
      part += bytes;
    }
  }

  std::vector<Buffer> buffers_;
  index_t count_ = 0;
  std::vector<std::byte> copy_;
};

}  // namespace detail

inline Request HostBackend::all_reduce_each(AnyQueue queue, std::span<const Buffer> buffers, Reduce op) {
  return all_reduce_packed(queue, buffers, op);
}

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/comm/host_backend.ipp"
#endif
