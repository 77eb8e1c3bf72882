// Every checker of the emulator catches the fault it is for, in a kernel that has it planted, under every schedule, and
// the message names the kernel, the thread and the line.
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/runtime.hpp"
#include "catch.hpp"

namespace {

using namespace ashlar;
using simt::Schedule;

struct Params {
  int* data;
  int* other;
};
struct Ints {
  SharedArray<int, 64> x;
};
using Thread = Simt<Ints>;

/// A kernel of 64 threads whose body is the given function.
template <void (*body)(const Params&, Thread&)>
struct Planted {
  using Params = ::Params;
  using Shared = Ints;
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Thread& self) { body(p, self); }
};

/// What a launch of Planted<body> faults with, the same in every schedule as to `expected`; "" if it runs to its end.
template <void (*body)(const Params&, Thread&)>
void faults_with(const Params& params, std::initializer_list<const char*> expected) {
  Cuda::Queue queue;
  for (const auto mode : {Schedule::round_robin, Schedule::random, Schedule::adversarial})
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const simt::ScheduleScope scope(mode, seed);
      CAPTURE(static_cast<int>(mode), seed);
      std::string message;
      try {
        launch<Planted<body>>(queue, Grid{2}, params);
      } catch (const simt::Fault& fault) {
        message = fault.what();
      }
      CHECK_THAT(message, ContainsText("Planted") && ContainsText("faults.cpp:"));
      for (const char* part : expected) CHECK_THAT(message, ContainsText(part));
    }
}

template <void (*body)(const Params&, Thread&)>
void runs(const Params& params = {}) {
  Cuda::Queue queue;
  for (const auto mode : {Schedule::round_robin, Schedule::random, Schedule::adversarial}) {
    const simt::ScheduleScope scope(mode, 5);
    CAPTURE(static_cast<int>(mode));
    CHECK_NOTHROW(launch<Planted<body>>(queue, Grid{2}, params));
  }
}

// Barriers.

void one_thread_misses_the_barrier(const Params&, Thread& self) {
  if (self.thread() != 17) self.sync();
}
void half_waits_elsewhere(const Params&, Thread& self) {
  if (self.thread() < 32)
    self.sync();
  else
    self.sync();
}
void deadlock_between_two_barriers(const Params&, Thread& self) {
  if (self.thread() < 32)
    self.sync(1, 64);
  else
    self.sync(2, 64);
}
constexpr int deadlock_line = __LINE__ - 4;
void deadlock_of_a_barrier_and_a_warp(const Params&, Thread& self) {
  if (self.thread() < 40)
    self.sync();
  else
    self.sync_warp();
}
void ragged_count(const Params&, Thread& self) {
  self.sync(1, 48);
}
void large_count(const Params&, Thread& self) {
  self.sync(1, 96);
}
void zero_count(const Params&, Thread& self) {
  self.sync(1, 0);
}
void high_id(const Params&, Thread& self) {
  self.sync(16, 64);
}
void id_zero(const Params&, Thread& self) {
  self.sync(0, 64);
}
void counts_differ(const Params&, Thread& self) {
  self.sync(3, self.thread() < 32 ? 32 + 32 : 32);
}
void named_barrier_after_exits(const Params&, Thread& self) {
  if (self.thread() >= 10) self.sync(4, 64);
}

// Warp collectives.

void shuffle_with_an_exited_lane(const Params&, Thread& self) {
  if (self.lane() == 3) return;
  self.shuffle_xor(self.thread(), 1);
}
void caller_outside_its_mask(const Params&, Thread& self) {
  self.shuffle(self.thread(), 0, 0x0000ffffu);
}
void masks_differ(const Params&, Thread& self) {
  self.ballot(true, self.lane() < 16 ? 0xffffffffu : 0xffff8000u);
}
void sites_differ(const Params&, Thread& self) {
  if (self.lane() < 16)
    self.sync_warp();
  else
    self.sync_warp();
}
void kinds_differ(const Params&, Thread& self) {
  self.lane() < 16 ? self.any(true) : self.match_any(0) != 0;
}
void source_outside_the_mask(const Params&, Thread& self) {
  if (self.lane() < 8) self.shuffle_down(self.thread(), 4, 0xffu);
}
void source_outside_the_warp(const Params&, Thread& self) {
  self.shuffle(self.thread(), self.lane() + 1);
}

// Global memory.

void reads_past_the_end(const Params& p, Thread& self) {
  self.load(p.data + self.thread() + self.block_x());
}
void writes_before_the_start(const Params& p, Thread& self) {
  self.store(p.data - 1 + self.thread(), 0);
}
void atomic_past_the_end(const Params& p, Thread& self) {
  self.atomic_add(p.data + 64, 1);
}
void reads_unwritten(const Params& p, Thread& self) {
  self.load(p.other + self.thread());
}
void atomic_on_unwritten(const Params& p, Thread& self) {
  self.atomic_max(p.other + self.thread(), 1);
}
void reads_null(const Params& p, Thread& self) {
  if (!p.other) self.load(p.other);
}
void reads_misaligned(const Params& p, Thread& self) {
  self.load(reinterpret_cast<const int*>(reinterpret_cast<const char*>(p.data) + 2));
}
void reads(const Params& p, Thread& self) {
  self.load(p.data + self.thread());
}
void writes(const Params& p, Thread& self) {
  self.store(p.data + self.thread(), 1);
}

// Shared memory.

void shared_index_too_large(const Params&, Thread& self) {
  self.shared().x[self.thread() + 1] = 0;
}
void shared_index_negative(const Params&, Thread& self) {
  self.shared().x[self.thread() - 1] = 0;
}
void reads_unwritten_shared(const Params&, Thread& self) {
  if (self.thread() > 0) self.shared().x[self.thread()] = 1;
  self.sync();
  if (self.thread() == 5) [[maybe_unused]]
    const int sum = self.shared().x[4] + self.shared().x[0];
}
void adds_to_unwritten_shared(const Params&, Thread& self) {
  self.atomic_add_shared(self.shared().x[0], 1);
}
void reads_shared_of_the_last_block(const Params&, Thread& self) {
  if (self.block_x() == 0) self.shared().x[self.thread()] = 1;
  if (self.block_x() == 1) self.shared().x[self.thread()] += 1;
}
void race_of_write_and_read(const Params&, Thread& self) {
  self.shared().x[self.thread()] = 1;
  self.sync();
  self.shared().x[self.thread()] = 2;
  self.sync_warp();  // orders a warp, not the block
  [[maybe_unused]] const int next = self.shared().x[self.thread() ^ 32];
}
void race_of_read_and_write(const Params&, Thread& self) {
  self.shared().x[self.thread()] = 1;
  self.sync();
  const int next = self.shared().x[(self.thread() + 1) % 64];
  self.shared().x[self.thread()] = next;  // the neighbour may not have read it yet
}
void race_of_writes(const Params&, Thread& self) {
  self.shared().x[self.thread() / 2] = 1;
}
void race_of_atomic_and_zeroing(const Params&, Thread& self) {
  if (self.thread() == 0) self.shared().x[0] = 0;
  self.sync_warp();
  if (self.warp() == 0) self.atomic_add_shared(self.shared().x[0], 1);
  if (self.thread() == 0) self.shared().x[0] = 0;
}
void race_across_a_shuffle(const Params&, Thread& self) {
  self.shared().x[self.thread()] = 1;
  self.shuffle_xor(self.thread(), 1);  // shuffles don't order memory
  [[maybe_unused]] const int next = self.shared().x[self.thread() ^ 1];
}
void race_across_a_barrier_of_others(const Params&, Thread& self) {
  self.shared().x[self.thread()] = 1;
  self.sync();
  self.shared().x[self.thread()] = 2;
  self.sync(1 + self.warp(), 32);
  [[maybe_unused]] const int next = self.shared().x[self.thread() ^ 32];
}

// Races in global memory.

void global_race_in_a_block(const Params& p, Thread& self) {
  self.store(p.data + self.thread(), self.thread() + 1);
  self.sync_warp();
  self.load(p.data + (self.thread() ^ 32));
}
// A pack of elements of two bytes, and one of them.
void global_race_with_a_pack(const Params& p, Thread& self) {
  if (self.thread() == 0) self.store(reinterpret_cast<Pack<bf16, 8>*>(p.data), Pack<bf16, 8>{});
  if (self.thread() == 32) self.store(reinterpret_cast<bf16*>(p.data) + 3, bf16(1.0f));
}
void global_race_of_blocks(const Params& p, Thread& self) {
  self.store(p.data + self.thread(), static_cast<int>(self.block_x()) + 1);
}
void global_race_of_an_atomic(const Params& p, Thread& self) {
  if (self.block_x() == 0) self.atomic_add(p.data, 1);
  if (self.block_x() == 1 && self.thread() == 9) self.load(p.data);
}
void no_global_race(const Params& p, Thread& self) {
  self.atomic_add(p.data + 1, 1);
  self.store(p.data, 1);  // the same value from all
  if (self.block_x() > 0) return;
  if (self.thread() > 1) self.store(p.data + self.thread(), self.thread());
  self.sync();
  if (self.thread() < 32) self.load(p.data + (self.thread() ^ 32));
}

// No faults.

void ordered_by_warps_and_named_barriers(const Params&, Thread& self) {
  self.shared().x[self.thread()] = 1;
  self.sync_warp();
  int next = self.shared().x[self.thread() ^ 1];
  self.sync(1, 64);  // what warp 0 saw of its lanes, warp 1 sees too
  self.shared().x[self.thread() ^ 32] = next;
  self.sync(1 + self.warp(), 32);
  self.sync_warp(0xffffu << (self.lane() & 16));
  next = self.shared().x[self.thread() ^ 32];
}
void some_exit_before_others_use_their_own_barrier(const Params&, Thread& self) {
  if (self.warp() == 1) return;
  self.sync(7, 32);
  self.sync_warp();
}

/// 64 written integers on the device.
struct Written {
  Written() {
    std::array<int, 64> host = {};
    Cuda::upload(queue, data, host.data(), sizeof host);
  }
  ~Written() { Cuda::deallocate(data, 256); }
  Cuda::Queue queue;
  int* data = static_cast<int*>(Cuda::allocate(256));
};

}  // namespace

TEST_CASE("barriers count who arrives") {
  faults_with<one_thread_misses_the_barrier>({}, {"barrier 0"});
  faults_with<half_waits_elsewhere>({}, {"divergent barrier"});
  faults_with<ragged_count>({}, {"barrier 1 for 48 threads", "multiple of 32"});
  faults_with<large_count>({}, {"barrier 1 for 96 threads"});
  faults_with<zero_count>({}, {"barrier 1 for 0 threads"});
  faults_with<high_id>({}, {"barrier id 16"});
  faults_with<id_zero>({}, {"barrier id 0"});
  faults_with<counts_differ>({}, {"barrier 3 for"});
  faults_with<named_barrier_after_exits>({}, {"barrier 4"});
  runs<some_exit_before_others_use_their_own_barrier>();
}

TEST_CASE("a deadlock is reported with what each thread waits for, and where") {
  faults_with<deadlock_between_two_barriers>(
      {}, {"deadlock", "64 of 64 threads wait", "threads 0 to 31: at barrier 1, where 32 of 64 threads are (",
           "threads 32 to 63: at barrier 2, where 32 of 64 threads are (", concat("faults.cpp:", deadlock_line).c_str(),
           concat("faults.cpp:", deadlock_line + 2).c_str()});
  faults_with<deadlock_of_a_barrier_and_a_warp>(
      {}, {"deadlock", "threads 0 to 39: at barrier 0, where 40 of 64",
           "threads 40 to 63: in sync_warp with mask 0xffffffff for lanes 0, 1, 2, 3, 4, 5, 6, 7 ("});
}

TEST_CASE("warp collectives meet the lanes of their mask") {
  faults_with<shuffle_with_an_exited_lane>({}, {"shuffle_xor", "exited"});
  faults_with<caller_outside_its_mask>({}, {"shuffle", "isn't in its own mask 0x0000ffff"});
  faults_with<masks_differ>({}, {"a vote", "the masks differ"});
  faults_with<sites_differ>({}, {"sync_warp", "the call sites differ"});
  faults_with<kinds_differ>({}, {"a vote", "match_any", "differ"});
  faults_with<source_outside_the_mask>({}, {"shuffle_down: lane 4 reads lane 8", "0x000000ff"});
  faults_with<source_outside_the_warp>({}, {"shuffle: lane 31 reads lane 32"});
}

TEST_CASE("global memory: range, alignment, written") {
  const Written x;
  auto* const unwritten = static_cast<int*>(Cuda::allocate(256));
  runs<reads>({x.data, nullptr});
  faults_with<reads_past_the_end>({x.data, nullptr}, {"block (1, 0, 0), thread 63 at", "read of 4 bytes at offset 256",
                                                      "an allocation of 256 bytes"});
  faults_with<writes_before_the_start>({x.data, nullptr}, {"thread 0 at", "write of 4 bytes at offset -4"});
  faults_with<atomic_past_the_end>({x.data, nullptr}, {"atomic of 4 bytes at offset 256"});
  faults_with<reads_unwritten>({x.data, unwritten}, {"never written"});
  faults_with<atomic_on_unwritten>({x.data, unwritten}, {"never written"});
  faults_with<reads_null>({x.data, nullptr}, {"read of 4 bytes at null"});
  faults_with<reads_misaligned>({x.data, nullptr}, {"offset 2", "aligned"});

  runs<writes>({unwritten, nullptr});
  runs<reads>({unwritten, nullptr});
  Cuda::deallocate(unwritten, 256);
}

TEST_CASE("global memory: use after free, wrong and double frees, leaks") {
  const std::size_t before = simt::live_device_bytes();
  auto* const p = static_cast<int*>(Cuda::allocate(256));
  CHECK(simt::live_device_bytes() == before + 256);
  CHECK_THROWS_WITH(Cuda::deallocate(p + 1, 252), ContainsText("isn't the start of a live allocation"));
  Cuda::deallocate(p, 256);
  CHECK(simt::live_device_bytes() == before);
  faults_with<reads>({p, nullptr}, {"of an allocation of 256 bytes that was freed"});
  CHECK_THROWS_WITH(Cuda::deallocate(p, 256), ContainsText("that was freed"));
  CHECK(Cuda::allocate(0) == nullptr);
  CHECK_NOTHROW(Cuda::deallocate(nullptr, 0));
}

TEST_CASE("fills and copies are checked and carry what is written") {
  Cuda::Queue queue;
  const Written x;
  auto* const y = static_cast<int*>(Cuda::allocate(256));
  std::array<int, 65> host = {};
  CHECK_THROWS_WITH(Cuda::upload(queue, y, host.data(), 260), ContainsText("Cuda::upload"));
  CHECK_THROWS_WITH(Cuda::download(queue, host.data(), x.data, 260), ContainsText("Cuda::download"));
  CHECK_THROWS_WITH(Cuda::copy(queue, y + 1, x.data, 256), ContainsText("bytes to offset 4"));
  CHECK_THROWS_WITH(Cuda::copy(queue, host.data(), x.data, 256), ContainsText("Cuda::copy"));
  CHECK_THROWS_WITH(Cuda::fill_zero(queue, y + 1, 256), ContainsText("Cuda::fill_zero"));
  Cuda::copy(queue, y, x.data, 252);
  faults_with<reads>({y, nullptr}, {"thread 63 at", "offset 252", "never written"});
  Cuda::fill_zero(queue, y + 63, 4);
  runs<reads>({y, nullptr});
  Cuda::deallocate(y, 256);
}

TEST_CASE("staging memory that is written to while an upload may still read it") {
  Cuda::Queue queue;
  Cuda::Staging staging(8);
  auto* const device = static_cast<std::int32_t*>(Cuda::allocate(8));
  std::byte* const host = staging.fill();
  std::memset(host, 1, 8);
  Cuda::upload(queue, device, staging, 0, 8);
  CHECK(staging.fill() == host);
  std::memset(host, 2, 8);  // after fill(): nothing reads it
  Cuda::upload(queue, device, staging, 0, 4);
  host[7] = std::byte{3};  // of no upload
  CHECK_NOTHROW(staging.fill());
  Cuda::upload(queue, device + 1, staging, 4, 4);
  host[4] = std::byte{4};
  CHECK_THROWS_WITH(staging.fill(), ContainsText("before fill()"));
  Cuda::deallocate(device, 8);
}

TEST_CASE("host arrays are device memory while they are registered") {
  std::vector<int> host(64);
  {
    const simt::HostArray scope(host);
    runs<writes>({host.data(), nullptr});
    CHECK(host[63] == 1);
    CHECK_THROWS_WITH(simt::HostArray(std::span(host).subspan(8)), ContainsText("registered twice"));
  }
  faults_with<reads>({host.data(), nullptr}, {"outside of live device memory"});
  {
    const simt::HostArray scope(host, simt::Contents::unwritten);
    faults_with<reads>({host.data(), nullptr}, {"never written"});
  }
  const simt::HostArray scope(std::as_const(host));
  runs<reads>({host.data(), nullptr});
  faults_with<writes>({host.data(), nullptr}, {"const"});
}

TEST_CASE("shared memory: index and written") {
  faults_with<shared_index_too_large>({}, {"thread 63 at", "index 64 of a SharedArray of 64 elements"});
  faults_with<shared_index_negative>({}, {"thread 0 at", "index -1 of a SharedArray of 64 elements"});
  faults_with<reads_unwritten_shared>({}, {"thread 5 at", "shared memory that was not written"});
  faults_with<adds_to_unwritten_shared>({}, {"atomic of shared memory that was not written"});
  faults_with<reads_shared_of_the_last_block>({}, {"block (1, 0, 0)", "shared memory that was not written"});
}

TEST_CASE("shared memory: races") {
  faults_with<race_of_write_and_read>({}, {"race in shared memory", "read by thread", "write by thread"});
  faults_with<race_of_read_and_write>({}, {"race in shared memory", "read by thread", "write by thread"});
  faults_with<race_of_writes>({}, {"race in shared memory: write by thread", "and write by thread"});
  faults_with<race_of_atomic_and_zeroing>({}, {"race in shared memory", "atomic by thread", "write by thread 0"});
  faults_with<race_across_a_shuffle>({}, {"race in shared memory"});
  faults_with<race_across_a_barrier_of_others>({}, {"race in shared memory"});
  runs<ordered_by_warps_and_named_barriers>();
}

TEST_CASE("global memory: races") {
  const Written x;
  faults_with<global_race_in_a_block>({x.data, nullptr}, {"race in global memory", "of this block at"});
  faults_with<global_race_with_a_pack>({x.data, nullptr}, {"race in global memory", "of this block at"});
  faults_with<global_race_of_blocks>({x.data, nullptr},
                                     {"race in global memory: write here, and write by thread", "of another block at"});
  faults_with<global_race_of_an_atomic>({x.data, nullptr}, {"race in global memory", "atomic", "of another block"});
  runs<no_global_race>({x.data, nullptr});
}

// What a kernel throws reaches the caller, and the other threads' objects are destroyed.
namespace {
struct Counted {
  explicit Counted(int& n) : count(n) { ++count; }
  ~Counted() { --count; }
  int& count;
};
void throws_while_others_wait(const Params& p, Thread& self) {
  const Counted counted(*p.other);
  if (self.block_x() == 1 && self.thread() == 40) throw std::out_of_range("from a kernel");
  self.sync();
  self.sync_warp();
}
void spins_for_ever(const Params& p, Thread& self) {
  if (self.thread() == 0)
    while (self.atomic_cas(p.data, 5, 6) != 5) {}
}
}  // namespace

TEST_CASE("an exception of a kernel unwinds its threads and reaches the caller") {
  Cuda::Queue queue;
  int alive = 0;
  for (const auto mode : {Schedule::round_robin, Schedule::random, Schedule::adversarial}) {
    const simt::ScheduleScope scope(mode, 3);
    CHECK_THROWS_AS(launch<Planted<throws_while_others_wait>>(queue, Grid{2}, {nullptr, &alive}), std::out_of_range);
    CHECK(alive == 0);
  }
  runs<ordered_by_warps_and_named_barriers>();  // the emulator is as good as new
}

TEST_CASE("a thread that spins with nobody to end it is a livelock") {
  const Written x;
  Cuda::Queue queue;
  CHECK_THROWS_WITH(launch<Planted<spins_for_ever>>(queue, Grid{}, {x.data, nullptr}), ContainsText("livelock"));
}
