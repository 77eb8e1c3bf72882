// The functions of device/cuda/ptx.cuh on the models of this folder: the same names and meaning as under nvcc. Read
// next: emulator/engines.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <random>

#include "ashlar/device/cuda/ptx/descriptor.cuh"
#include "ashlar/device/cuda/simt.cuh"
#include "ashlar/device/cuda/tensor_map.hpp"
#include "ashlar/emulator/engines.hpp"
#include "ashlar/emulator/matrix.hpp"

namespace ashlar::inline v0::ptx {

namespace detail {
using simt::Site;
using simt::detail::Box;
using simt::detail::Storing;

inline simt::detail::Block& block() {
  return *simt::detail::running_block;
}
inline simt::detail::Engines& engines() {
  return block().engines();
}
inline std::size_t place(Barrier& barrier, Site where) {
  block().preempt(&barrier, 4, where);
  return engines().mbarriers.place(block(), &barrier, where);
}
template <std::size_t Rank>
Box box(const TensorMap& map, const std::array<int, Rank>& first, Site where) {
  if (map.rank != static_cast<int>(Rank))
    block().fault(concat("a copy with ", Rank, " coordinates by a map of ", map.rank, " dimensions"), where);
  if (first[0] * map.element_bytes % 16 != 0)
    block().fault(concat("a box that begins at column ", first[0], ": the copy engine wants multiples of 16 bytes"),
                  where);
  return Box::of(map, first);
}
inline Box run(const void* global, int bytes, bool is_float = false) {
  Box box;
  box.bytes = static_cast<std::uint32_t>(bytes);
  box.is_float = is_float;
  box.runs.push_back({static_cast<std::byte*>(const_cast<void*>(global)), 0, box.bytes});
  return box;
}
template <std::size_t Rank>
void load(void* to, const TensorMap& map, Barrier& barrier, unsigned blocks, const std::array<int, Rank>& first,
          Site where) {
  engines().copies.load(block(), box(map, first, where), to, &barrier, blocks, where);
}
template <std::size_t Rank>
void store(const TensorMap& map, const void* from, const std::array<int, Rank>& first, Storing how, Site where) {
  engines().copies.store(block(), box(map, first, where), from, how, where);
}
}  // namespace detail

using detail::Site;
using detail::Storing;

// device/cuda/ptx/barrier.cuh

inline std::uint32_t address(const void* p, Site where = Site::current()) {
  auto& block = detail::block();
  auto& shared = block.shared_memory();
  if (!shared.contains(p)) block.fault("ptx::address of what isn't shared memory", where);
  const std::size_t at = shared.offset(p);
  if (static_cast<int>(at / block.shared_stride()) != block.rank())
    block.fault("ptx::address of another block's shared memory", where);
  return static_cast<std::uint32_t>(at % block.shared_stride()) + simt::detail::shared_window;
}
inline void init(Barrier& barrier, int arrivals, Site where = Site::current()) {
  detail::engines().mbarriers.init(detail::block(), &barrier, arrivals, where);
}
inline void fence_barrier_init() {
  detail::engines().mbarriers.fence_init(detail::block());
}
inline void invalidate(Barrier& barrier, Site where = Site::current()) {
  detail::engines().mbarriers.invalidate(detail::block(), &barrier, where);
}
inline void arrive(Barrier& barrier, Site where = Site::current()) {
  detail::engines().mbarriers.arrive(detail::block(), detail::place(barrier, where), 0, false, where);
}
inline void arrive_remote(Barrier& barrier, int rank, Site where = Site::current()) {
  auto& block = detail::block();
  const std::size_t own = detail::place(barrier, where);
  block.reach(rank, where);
  detail::engines().mbarriers.arrive(
      block, own % block.shared_stride() + static_cast<std::size_t>(rank) * block.shared_stride(), 0, true, where);
}
inline void arrive_expecting(Barrier& barrier, int bytes, Site where = Site::current()) {
  detail::engines().mbarriers.arrive(detail::block(), detail::place(barrier, where), bytes, false, where);
}
inline void expect(Barrier& barrier, int bytes, Site where = Site::current()) {
  auto& mbarriers = detail::engines().mbarriers;
  mbarriers.expect(detail::block(), mbarriers.find(detail::block(), detail::place(barrier, where), where), bytes,
                   where);
}
inline bool try_wait(Barrier& barrier, int parity, Site where = Site::current()) {
  return detail::engines().mbarriers.wait(detail::block(), detail::place(barrier, where), parity, true, where);
}
inline void wait(Barrier& barrier, int parity, Site where = Site::current()) {
  detail::engines().mbarriers.wait(detail::block(), detail::place(barrier, where), parity, false, where);
}
inline void wait_cluster(Barrier& barrier, int parity, Site where = Site::current()) {
  wait(barrier, parity, where);
}

// device/cuda/ptx/bulk_copy.cuh

inline void prefetch(const TensorMap&) {}

inline void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1, Site where = Site::current()) {
  detail::load<2>(to, map, barrier, 0, {c0, c1}, where);
}
inline void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1, int c2,
                 Site where = Site::current()) {
  detail::load<3>(to, map, barrier, 0, {c0, c1, c2}, where);
}
inline void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1, int c2, int c3,
                 Site where = Site::current()) {
  detail::load<4>(to, map, barrier, 0, {c0, c1, c2, c3}, where);
}
inline void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1, int c2, int c3, int c4,
                 Site where = Site::current()) {
  detail::load<5>(to, map, barrier, 0, {c0, c1, c2, c3, c4}, where);
}
inline void load_multicast(void* to, const TensorMap& map, Barrier& barrier, unsigned blocks, int c0, int c1,
                           Site where = Site::current()) {
  detail::load<2>(to, map, barrier, blocks, {c0, c1}, where);
}
inline void load_multicast(void* to, const TensorMap& map, Barrier& barrier, unsigned blocks, int c0, int c1, int c2,
                           Site where = Site::current()) {
  detail::load<3>(to, map, barrier, blocks, {c0, c1, c2}, where);
}
inline void load_multicast(void* to, const TensorMap& map, Barrier& barrier, unsigned blocks, int c0, int c1, int c2,
                           int c3, Site where = Site::current()) {
  detail::load<4>(to, map, barrier, blocks, {c0, c1, c2, c3}, where);
}
inline void store(const TensorMap& map, const void* from, int c0, int c1, Site where = Site::current()) {
  detail::store<2>(map, from, {c0, c1}, Storing::copy, where);
}
inline void store(const TensorMap& map, const void* from, int c0, int c1, int c2, Site where = Site::current()) {
  detail::store<3>(map, from, {c0, c1, c2}, Storing::copy, where);
}
inline void store(const TensorMap& map, const void* from, int c0, int c1, int c2, int c3,
                  Site where = Site::current()) {
  detail::store<4>(map, from, {c0, c1, c2, c3}, Storing::copy, where);
}
inline void store(const TensorMap& map, const void* from, int c0, int c1, int c2, int c3, int c4,
                  Site where = Site::current()) {
  detail::store<5>(map, from, {c0, c1, c2, c3, c4}, Storing::copy, where);
}
inline void add(const TensorMap& map, const void* from, int c0, int c1, Site where = Site::current()) {
  detail::store<2>(map, from, {c0, c1}, Storing::add, where);
}
inline void add(const TensorMap& map, const void* from, int c0, int c1, int c2, Site where = Site::current()) {
  detail::store<3>(map, from, {c0, c1, c2}, Storing::add, where);
}
inline void add(const TensorMap& map, const void* from, int c0, int c1, int c2, int c3, Site where = Site::current()) {
  detail::store<4>(map, from, {c0, c1, c2, c3}, Storing::add, where);
}
inline void load_bytes(void* to, const void* from, int bytes, Barrier& barrier, Site where = Site::current()) {
  if (reinterpret_cast<std::uintptr_t>(from) % 16 != 0)
    detail::block().fault("ptx::load_bytes: the address isn't aligned to 16", where);
  detail::engines().copies.load(detail::block(), detail::run(from, bytes), to, &barrier, 0, where);
}
inline void store_bytes(void* to, const void* from, int bytes, Site where = Site::current()) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0)
    detail::block().fault("ptx::store_bytes: the address isn't aligned to 16", where);
  detail::engines().copies.store(detail::block(), detail::run(to, bytes), from, Storing::copy, where);
}
inline void add_bytes(float* to, const float* from, int bytes, Site where = Site::current()) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0)
    detail::block().fault("ptx::add_bytes: the address isn't aligned to 16", where);
  detail::engines().copies.store(detail::block(), detail::run(to, bytes, true), from, Storing::add, where);
}
inline void commit_stores() {
  detail::engines().copies.commit(detail::block());
}
template <int Pending = 0>
void wait_stores_read(Site where = Site::current()) {
  detail::engines().copies.wait(detail::block(), Pending, false, where);
}
template <int Pending = 0>
void wait_stores(Site where = Site::current()) {
  detail::engines().copies.wait(detail::block(), Pending, true, where);
}

// device/cuda/ptx/control.cuh

inline void fence_async() {
  auto& shared = detail::block().shared_memory();
  shared.pieces().fence(detail::block().current(), shared.clocks());
}
inline void fence_async_global() {}

template <int Count>
void fewer_registers(Site where = Site::current()) {
  static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256);
  detail::engines().registers.set(detail::block(), Count, true, where);
}
template <int Count>
void more_registers(Site where = Site::current()) {
  static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256);
  detail::engines().registers.set(detail::block(), Count, false, where);
}
inline void bar_sync(int id, int count, Site where = Site::current()) {
  if (id == 0) detail::block().fault("barrier id 0 is the whole block's: named barriers have ids 1 to 15", where);
  detail::block().barrier(id, count, true, where);
}
inline void bar_arrive(int id, int count, Site where = Site::current()) {
  if (id == 0) detail::block().fault("barrier id 0 is the whole block's: named barriers have ids 1 to 15", where);
  detail::block().barrier(id, count, false, where);
}
/// Any lane, but the same of a warp each time.
inline bool elect(Site where = Site::current()) {
  auto& block = detail::block();
  simt::detail::Offer offer;
  const int thread = block.current();
  block.warp_of(thread).meet_all(block, simt::detail::Collective::elect, offer, where, [](const auto&) {});
  return thread % warp_size == static_cast<int>(block.elected(thread / warp_size));
}
inline int cluster_rank() {
  return detail::block().rank();
}
inline int cluster_size() {
  return detail::block().blocks();
}
inline void cluster_arrive(Site where = Site::current()) {
  detail::engines().cluster.arrive(detail::block(), where);
}
inline void cluster_wait(Site where = Site::current()) {
  detail::engines().cluster.wait(detail::block(), where);
}
inline void cluster_sync(Site where = Site::current()) {
  cluster_arrive(where);
  cluster_wait(where);
}
template <class T>
T* peer(T* p, int rank, Site where = Site::current()) {
  auto& block = detail::block();
  auto& shared = block.shared_memory();
  if (!shared.contains(p)) block.fault("ptx::peer of what isn't shared memory", where);
  if (rank < 0 || rank >= block.blocks()) block.fault(concat("the cluster has no block ", rank), where);
  return reinterpret_cast<T*>(shared.base() + shared.offset(p) % block.shared_stride() +
                              static_cast<std::size_t>(rank) * block.shared_stride());
}
inline void wait_previous_launch() {
  detail::block().wait_previous_launch();
}
inline void start_next_launch() {}

// device/cuda/ptx/wgmma.cuh

inline void wgmma_fence(Site where = Site::current()) {
  detail::engines().warpgroup(where).fence();
}
inline void wgmma_commit(Site where = Site::current()) {
  detail::engines().warpgroup(where).commit(where);
}
template <int Pending>
void wgmma_wait(Site where = Site::current()) {
  detail::engines().warpgroup(where).wait(Pending, where);
}
template <class T, int N>
void hold(T (&)[N]) {}

template <int TransposeA, int TransposeB, int N>
void wgmma_ss(float (&d)[N], std::uint64_t a, std::uint64_t b, int add, Site where = Site::current()) {
  static_assert(N % 4 == 0 && N <= 128);
  detail::engines().warpgroup(where).submit({2 * N, TransposeA != 0, TransposeB != 0, false, add != 0, a, b, where}, d,
                                            nullptr);
}
template <int TransposeB, int N>
void wgmma_rs(float (&d)[N], const std::uint32_t* a, std::uint64_t b, int add, Site where = Site::current()) {
  static_assert(N % 4 == 0 && N <= 128);
  detail::engines().warpgroup(where).submit({2 * N, false, TransposeB != 0, true, add != 0, 0, b, where}, d, a);
}

}  // namespace ashlar::inline v0::ptx
