// The emulator's side of device/cuda/simt.cuh: SharedArray, Simt and simt::run, with the same names and meaning as
// under nvcc. Every thread of a block is a fiber; every access, barrier and collective is checked. See
// docs/emulator.md. Read next: emulator/shared_array.hpp, emulator/warp.hpp, emulator/block.hpp.
#pragma once

#include <cxxabi.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>
#include <numeric>
#include <random>
#include <typeinfo>
#include <vector>

#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/cuda/simt.cuh"
#include "ashlar/emulator/block_run.hpp"
#include "ashlar/emulator/poison.hpp"
#include "ashlar/emulator/shared_array.hpp"
#include "ashlar/emulator/warp.hpp"

namespace ashlar::inline v0 {

/// The calling thread. Blocks are one-dimensional in threads; grids have up to three dimensions.
template <class SharedT>
class Simt {
  using Site = simt::Site;
  using Access = simt::Access;
  using Collective = simt::detail::Collective;

 public:
  Simt(SharedT& shared, simt::detail::Block& block, int thread, index_t blocks_x)
      : shared_(shared), block_(block), thread_(thread), blocks_x_(blocks_x) {}
  Simt(const Simt&) = delete;

  int thread() const { return thread_ % block_.threads(); }
  int threads() const { return block_.threads(); }
  int lane() const { return thread_ & 31; }
  int warp() const { return thread() >> 5; }
  int warps() const { return block_.threads() >> 5; }
  index_t block_x() const { return block_.x() + block_.rank_of(thread_); }
  index_t block_y() const { return block_.y(); }
  index_t block_z() const { return block_.z(); }
  index_t blocks_x() const { return blocks_x_; }

  SharedT& shared() { return shared_; }

  /// Global memory. Every access of a kernel goes through these two (but for the state of masks, which is shared with
  /// the host).
  template <class T>
  T load(const T* p, Site where = Site::current()) const {
    static_assert(std::is_trivially_copyable_v<T>);
    touch(p, sizeof(T), alignof(T), Access::read, 8, where);
    T value;
    std::memcpy(static_cast<void*>(&value), p, sizeof(T));  // not *p: p may come from a cast to a vector type
    return value;
  }
  template <class T>
  void store(T* p, T value, Site where = Site::current()) const {
    static_assert(std::is_trivially_copyable_v<T>);
    simt::detail::arrived(value, where);
    touch(p, sizeof(T), alignof(T), Access::write, 8, where, &value);
    std::memcpy(static_cast<void*>(p), &value, sizeof(T));
  }

  void sync(Site where = Site::current()) const { block_.barrier(0, block_.threads(), true, where); }
  void sync(int id, int count, Site where = Site::current()) const {
    if (id == 0) block_.fault("barrier id 0 is the whole block's: named barriers have ids 1 to 15", where);
    block_.barrier(id, count, true, where);
  }
  void sync_warp(unsigned mask = full_warp, Site where = Site::current()) const {
    collective(Collective::sync, mask, 0, 0, where);
  }

  template <class T>
  T shuffle(T value, int lane, unsigned mask = full_warp, Site where = Site::current()) const {
    return exchange(Collective::shuffle, value, lane, mask, where);
  }
  template <class T>
  T shuffle_xor(T value, int lanes, unsigned mask = full_warp, Site where = Site::current()) const {
    return exchange(Collective::shuffle_xor, value, lanes, mask, where);
  }
  template <class T>
  T shuffle_down(T value, int delta, unsigned mask = full_warp, Site where = Site::current()) const {
    return exchange(Collective::shuffle_down, value, delta, mask, where);
  }
  template <class T>
  T shuffle_up(T value, int delta, unsigned mask = full_warp, Site where = Site::current()) const {
    return exchange(Collective::shuffle_up, value, delta, mask, where);
  }
  unsigned ballot(bool predicate, unsigned mask = full_warp, Site where = Site::current()) const {
    return static_cast<unsigned>(collective(Collective::ballot, mask, predicate, 0, where));
  }
  bool any(bool predicate, unsigned mask = full_warp, Site where = Site::current()) const {
    return collective(Collective::ballot, mask, predicate, 0, where) != 0;
  }
  bool all(bool predicate, unsigned mask = full_warp, Site where = Site::current()) const {
    return collective(Collective::ballot, mask, predicate, 0, where) == mask;
  }
  unsigned match_any(std::uint32_t value, unsigned mask = full_warp, Site where = Site::current()) const {
    return static_cast<unsigned>(collective(Collective::match, mask, value, 0, where));
  }

  /// Atomic on global memory (or on an element of a SharedArray); returns the old value. For the types CUDA has them
  /// for.
  template <class T>
  T atomic_add(T* p, T value, Site where = Site::current()) const {
    static_assert(one_of<T, int, unsigned, unsigned long long, float, double>, "atomicAdd doesn't exist for this type");
    return update(
        p, [&](T old) { return static_cast<T>(old + value); }, where);
  }
  void atomic_add(float* p, float a, float b, float c, float d, Site where = Site::current()) const {
    if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) block_.fault("an atomic of four is aligned to 16 bytes", where);
    for (const float x : {a, b, c, d}) atomic_add(p++, simt::detail::arrived(x, where), where);
  }
  template <class T>
  T atomic_max(T* p, T value, Site where = Site::current()) const {
    static_assert(one_of<T, int, unsigned, long long, unsigned long long>, "atomicMax doesn't exist for this type");
    return update(
        p, [&](T old) { return std::max(old, value); }, where);
  }
  template <class T>
  T atomic_cas(T* p, T expected, T value, Site where = Site::current()) const {
    static_assert(one_of<T, int, unsigned, unsigned short, unsigned long long>,
                  "atomicCAS doesn't exist for this type");
    return update(
        p, [&](T old) { return old == expected ? value : old; }, where);
  }
  template <class T>
  T atomic_add_shared(simt::detail::SharedElement<T>&& element, std::type_identity_t<T> value,
                      Site where = Site::current()) const {
    return atomic_add(&std::move(element), value, where);
  }

  float exp(float x) const { return std::exp(x); }
  double exp(double x) const { return std::exp(x); }
  float exp2(float x, Site where = Site::current()) const {
    const float y = std::exp2(simt::detail::arrived(x, where));
    return y < 1.17549435e-38f ? 0 : y;
  }
  float log(float x) const { return std::log(x); }
  double log(double x) const { return std::log(x); }
  float rsqrt(float x) const { return 1.0f / std::sqrt(x); }
  double rsqrt(double x) const { return 1.0 / std::sqrt(x); }
  float sqrt(float x) const { return std::sqrt(x); }
  double sqrt(double x) const { return std::sqrt(x); }

 private:
  template <class T, class... Types>
  static constexpr bool one_of = (std::is_same_v<T, Types> || ...);

  /// A place to switch threads once in `n` times, then the checks of an access; `value` is what a store brings.
  /// Pointers into shared memory are known.
  void touch(const void* p, std::size_t bytes, std::size_t alignment, Access access, unsigned n, Site where,
             const void* value = nullptr) const {
    block_.preempt(p, n, where);
    if (block_.shared_memory().contains(p)) {
      if (block_.blocks() > 1)
        if (const auto at = static_cast<int>(block_.shared_memory().offset(p) / block_.shared_stride());
            at != block_.rank_of(thread_))
          block_.reach(at, where);
      simt::detail::check_shared(block_, p, bytes, alignment, access, where);
      return;
    }
    const auto why = simt::detail::access_fault(block_.allocations(), p, bytes, alignment, access);
    if (!why.empty()) block_.fault(why, where);
    block_.note_global(*block_.allocations().find(p, bytes), access, where);
    // Several threads may write the same value: the result doesn't depend on their order.
    block_.check_global_race(p, bytes, access, value && std::memcmp(value, p, bytes) == 0, where);
  }

  template <class T, class F>
  T update(T* p, F&& f, Site where) const {
    touch(p, sizeof(T), alignof(T), Access::update, 2, where);
    // Fibers can't switch in between; other host threads (ranks) may touch the same address.
    const std::atomic_ref<T> target(*p);
    T old = target.load();
    while (!target.compare_exchange_weak(old, f(old))) {}
    return old;
  }

  std::uint64_t collective(Collective kind, unsigned mask, std::uint64_t word, int argument, Site where) const {
    simt::detail::Offer offer{word, argument};
    block_.warp_of(thread_).meet(block_, kind, mask, offer, where);
    return offer.result;
  }
  template <class T>
  T exchange(Collective kind, T value, int argument, unsigned mask, Site where) const {
    static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "shuffles take 4 or 8 byte numbers");
    simt::detail::arrived(value, where);
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof(T));
    word = collective(kind, mask, word, argument, where);
    std::memcpy(&value, &word, sizeof(T));
    return value;
  }

  SharedT& shared_;
  simt::detail::Block& block_;
  const int thread_;  // of the cluster
  const index_t blocks_x_;
};

namespace simt {

namespace detail {
using ashlar::detail::cluster_blocks, ashlar::detail::is_programmatic;

/// The members that a kernel may leave out, as nvcc would see them.
template <class Kernel>
constexpr bool well_formed() {
  bool ok = cluster_blocks<Kernel>() >= 1 && cluster_blocks<Kernel>() <= 8;  // what every GPU with clusters has
  if constexpr (requires { Kernel::min_blocks; }) ok = ok && Kernel::min_blocks >= 1;
  if constexpr (requires { Kernel::arch; }) ok = ok && Kernel::arch >= 80;
  return ok;
}

/// The shared memory of a cluster's blocks, each aligned to 1024 as on the GPU.
class SharedArena {
 public:
  SharedArena(std::size_t bytes, int blocks)
      : stride_(blocks == 1 ? bytes : (bytes + 1023) / 1024 * 1024),
        p_(std::aligned_alloc(1024, (stride_ * static_cast<std::size_t>(blocks) + 1023) / 1024 * 1024)) {
    if (!p_) throw std::bad_alloc();
  }
  ~SharedArena() { std::free(p_); }
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;

  std::size_t stride() const { return stride_; }
  void* of(int rank) const { return static_cast<std::byte*>(p_) + static_cast<std::size_t>(rank) * stride_; }

 private:
  std::size_t stride_;
  void* p_;
};
}  // namespace detail

/// Runs gx * gy * gz blocks of Kernel, one after another (those of a cluster together), in the order
/// of the ScheduleScope. Returns when all are done;
/// throws Fault for what a checker found, or what the kernel threw.
template <class Kernel>
void run(Cuda::Queue&, index_t gx, index_t gy, index_t gz, const typename Kernel::Params& params) {
  using Params = typename Kernel::Params;
  using Shared = typename Kernel::Shared;
  static_assert(Kernel::threads > 0 && Kernel::threads <= 1024 && Kernel::threads % warp_size == 0,
                "Kernel::threads must be a multiple of 32, at most 1024");
  static_assert(detail::well_formed<Kernel>(), "Kernel::min_blocks is at least 1, cluster 1 to 8, arch at least 80");
  static_assert(sizeof(Shared) <= 232448, "a block has 227 KiB of shared memory");
  static_assert(std::is_trivially_default_constructible_v<Shared>, "shared memory can't be initialised");
  if (gx > 2147483647 || gy > 65535 || gz > 65535)
    throw Fault(concat("CUDA refused a launch of ", gx, " x ", gy, " x ", gz, " blocks"));
  constexpr int cluster = detail::cluster_blocks<Kernel>();
  if (gx % cluster != 0) throw Fault(concat("CUDA refused a launch of ", gx, " blocks in clusters of ", cluster));
  if (detail::running_block) throw Fault("a kernel can't launch kernels");

  const std::uint64_t number = detail::next_launch();
  const detail::SharedArena shared(sizeof(Shared), cluster);
  for (int rank = 0; rank < cluster; ++rank) new (shared.of(rank)) Shared;
  struct Context {
    const Params& params;
    const detail::SharedArena& shared;
    index_t blocks_x;
  } context{params, shared, gx};

  detail::Block block({[] {
                         int status = 0;
                         char* name = abi::__cxa_demangle(typeid(Kernel).name(), nullptr, nullptr, &status);
                         std::string text = status == 0 ? name : typeid(Kernel).name();
                         std::free(name);
                         return text;
                       },
                       Kernel::threads, cluster, shared.of(0), shared.stride(), detail::is_programmatic<Kernel>(),
                       number, detail::launch_before()});
  const auto body = [](void* p, detail::Block& on, int thread) {
    auto& c = *static_cast<Context*>(p);
    Simt<Shared> self(*static_cast<Shared*>(c.shared.of(on.rank_of(thread))), on, thread, c.blocks_x);
    Kernel::run(c.params, self);
  };
  gx /= cluster;
  const index_t blocks = gx * gy * gz;
  std::vector<index_t> order(static_cast<std::size_t>(blocks));
  std::iota(order.begin(), order.end(), index_t{0});
  auto& schedule = detail::schedule_state();
  if (schedule.mode == Schedule::random) std::shuffle(order.begin(), order.end(), schedule.random);
  if (schedule.mode == Schedule::adversarial) std::reverse(order.begin(), order.end());
  for (const index_t b : order) block.run(b % gx * cluster, b / gx % gy, b / gx / gy, body, &context);
  detail::launch_before() = number;
}

}  // namespace simt
}  // namespace ashlar::inline v0
