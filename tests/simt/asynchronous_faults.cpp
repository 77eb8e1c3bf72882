// Every rule of the asynchronous instructions that the emulator knows has a kernel here that breaks it, and is caught
// under every schedule, with the line. What a fault reads: simt/faults.cpp.
#include <initializer_list>
#include <string>
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace {

using namespace ashlar;
using simt::Schedule;

struct Params {
  ptx::TensorMap map;  // [64, 64] of 1, boxes of 64 x 16: 2048 bytes
  ptx::TensorMap out;
  bf16* x;
  float* d;
};
struct Memory {
  alignas(1024) SharedArray<bf16, 64 * 64> tile;
  alignas(1024) SharedArray<bf16, 64 * 64> other;
  ptx::Barrier full, empty;
};
using Thread = Simt<Memory>;
constexpr int box_bytes = 2048;

template <void (*body)(const Params&, Thread&), int Threads, int Cluster>
struct Planted {
  using Params = ::Params;
  using Shared = Memory;
  static constexpr int threads = Threads, cluster = Cluster;
  ASHLAR_DEVICE static void run(const Params& p, Thread& ctx) { body(p, ctx); }
};

/// Each launch of Planted<body> ends with a fault that has the text, or, if there is none, with none.
template <void (*body)(const Params&, Thread&), int Threads = 128, int Cluster = 1>
void faults_with(const char* text, std::initializer_list<Schedule> modes = {Schedule::round_robin, Schedule::random,
                                                                            Schedule::adversarial}) {
  Cuda::Queue queue;
  DeviceArray<bf16> x(queue, std::vector<bf16>(64 * 64, bf16(1.0f))), out(64 * 64);
  DeviceArray<float> d(64 * 64);
  const TensorMapShape<2> shape{{64, 64}, {64}, {64, 16}};
  const Params params{tensor_map(x.get(), shape), tensor_map(out.get(), shape), x.get(), d.get()};
  for (const auto mode : modes)
    for (std::uint64_t seed = 1; seed <= (mode == Schedule::random ? 5u : 1u); ++seed) {
      const simt::ScheduleScope scope(mode, seed);
      CAPTURE(static_cast<int>(mode), seed);
      std::string message;
      try {
        launch<Planted<body, Threads, Cluster>>(queue, Grid{Cluster}, params);
      } catch (const simt::Fault& fault) {
        message = fault.what();
      }
      if (*text)
        CHECK_THAT(message, ContainsText(text) && ContainsText("asynchronous_faults.cpp:"));
      else
        CHECK(message.empty());
    }
}

void make_barriers(Thread& ctx, int arrivals = 1) {
  if (ctx.thread() == 0) {
    ptx::init(ctx.shared().full, arrivals);
    ptx::init(ctx.shared().empty, arrivals);
    ptx::fence_barrier_init();
  }
  ctx.sync();
}
void fill(Thread& ctx, SharedArray<bf16, 64 * 64>& tile) {
  for (int i = ctx.thread(); i < 64 * 64; i += ctx.threads()) tile[i] = bf16(1.0f);
}
void load_box(const Params& p, Thread& ctx, int bytes = box_bytes) {
  Memory& s = ctx.shared();
  if (ctx.thread() != 0) return;
  ptx::arrive_expecting(s.full, bytes);
  ptx::load(&s.tile[0], p.map, s.full, 0, 0);
}
std::uint64_t descriptor(SharedArray<bf16, 64 * 64>& tile) {
  return ptx::descriptor(ptx::address(&tile[0]));
}
void store_box(const Params& p, Thread& ctx) {
  ptx::store(p.out, &ctx.shared().tile[0], 0, 0);
  ptx::commit_stores();
}
void put(const Params& p, Thread& ctx, const float (&d)[32]) {
  for (int i = 0; i < 32; ++i) ctx.store(p.d + ctx.thread() * 32 + i, d[i]);
}
/// Both factors in shared memory, fenced.
void prepare(Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  fill(ctx, ctx.shared().other);
  ptx::fence_async();
  ctx.sync();
}
void start_product(Thread& ctx, float (&d)[32]) {
  ptx::wgmma_ss<0, 0>(d, descriptor(ctx.shared().tile), descriptor(ctx.shared().other), 0);
}

// Proxies.

void store_without_fence(const Params& p, Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  ctx.sync();
  if (ctx.thread() == 0) store_box(p, ctx), ptx::wait_stores();
}
void fence_by_another_thread(const Params& p, Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  ctx.sync();
  if (ctx.thread() == 0) ptx::fence_async(), store_box(p, ctx), ptx::wait_stores();
}
void fence_after_the_barrier(const Params& p, Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  ctx.sync();
  ptx::fence_async();
  if (ctx.thread() == 0) store_box(p, ctx), ptx::wait_stores();
}
void product_without_fence(const Params& p, Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  fill(ctx, ctx.shared().other);
  ctx.sync();
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void load_over_unfenced_writes(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  fill(ctx, ctx.shared().tile);
  ctx.sync();
  load_box(p, ctx);
  ptx::wait(ctx.shared().full, 0);
}
void stored_as_it_should_be(const Params& p, Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  ptx::fence_async();
  ctx.sync();
  if (ctx.thread() == 0) store_box(p, ctx), ptx::wait_stores_read();
  ctx.sync();
  fill(ctx, ctx.shared().tile);
}

// Waits.

void read_without_wait(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  load_box(p, ctx);
  ctx.sync();
  ctx.store(p.d + ctx.thread(), float(ctx.shared().tile[ctx.thread()]));
}
void one_warp_does_not_wait(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  load_box(p, ctx);
  ctx.sync();
  if (ctx.warp() != 2) ptx::wait(ctx.shared().full, 0);
  ctx.store(p.d + ctx.thread(), float(ctx.shared().tile[ctx.thread()]));
}
void product_without_wait(const Params& p, Thread& ctx) {
  fill(ctx, ctx.shared().other);
  ptx::fence_async();
  make_barriers(ctx);
  load_box(p, ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
}
void staging_overwritten(const Params& p, Thread& ctx) {
  prepare(ctx);
  if (ctx.thread() == 0) store_box(p, ctx);
  ctx.sync();
  ctx.shared().tile[ctx.thread()] = bf16(2.0f);
  ctx.sync();
  if (ctx.thread() == 0) ptx::wait_stores();
}
void another_thread_waits_for_stores(const Params& p, Thread& ctx) {
  prepare(ctx);
  if (ctx.thread() == 0) store_box(p, ctx);
  if (ctx.thread() == 1) ptx::wait_stores_read();
  ctx.sync();
  ctx.shared().tile[ctx.thread()] = bf16(2.0f);
  if (ctx.thread() == 0) ptx::wait_stores();
}
void waits_for_too_few_stores(const Params& p, Thread& ctx) {
  prepare(ctx);
  if (ctx.thread() == 0) store_box(p, ctx), ptx::wait_stores_read<1>();
  ctx.sync();
  ctx.shared().tile[ctx.thread()] = bf16(2.0f);
}
void exits_before_stores_are_read(const Params& p, Thread& ctx) {
  prepare(ctx);
  if (ctx.thread() == 0) store_box(p, ctx);
}
void load_while_products_read(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  ctx.sync();
  load_box(p, ctx);  // released a wait too early
  ptx::wgmma_wait<0>();
  ptx::wait(ctx.shared().full, 0);
}
void copies_not_waited_for(const Params& p, Thread& ctx) {
  ptx::copy16(&ctx.shared().tile[ctx.thread() * 8], p.x + ctx.thread() * 8);
  ptx::commit_copies();
  ptx::wait_copies<1>();
  ctx.sync();
  ctx.store(p.d + ctx.thread(), float(ctx.shared().tile[(ctx.thread() * 8 + 8) % 1024]));
}
void copies_of_others_not_synchronised(const Params& p, Thread& ctx) {
  ptx::copy16(&ctx.shared().tile[ctx.thread() * 8], p.x + ctx.thread() * 8);
  ptx::commit_copies();
  ptx::wait_copies<0>();
  ctx.store(p.d + ctx.thread(), float(ctx.shared().tile[(ctx.thread() * 8 + 8) % 1024]));
}

// mbarriers.

void too_few_bytes_expected(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  load_box(p, ctx, box_bytes - 16);
  ptx::wait(ctx.shared().full, 0);
}
void too_many_bytes_expected(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  load_box(p, ctx, box_bytes + 16);
  ptx::wait(ctx.shared().full, 0);
}
void phase_waited_on_twice(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  for (int i = 0; i < 2; ++i) {
    load_box(p, ctx);
    ptx::wait(ctx.shared().full, 0);  // the parity must turn
    ctx.sync();
  }
}
void arrives_too_often(const Params&, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 0) {
    ptx::expect(ctx.shared().full, 64);
    ptx::arrive(ctx.shared().full);
    ptx::arrive(ctx.shared().full);
  }
}
void nobody_arrives(const Params&, Thread& ctx) {
  make_barriers(ctx);
  ptx::wait(ctx.shared().full, 0);
}
void phase_may_be_missed(const Params&, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 0) ptx::wait(ctx.shared().full, 0);
  if (ctx.thread() == 64)
    for (int i = 0; i < 2; ++i) ptx::arrive(ctx.shared().full);  // the second must wait for a sign of thread 0
}
void barrier_not_made(const Params&, Thread& ctx) {
  if (ctx.thread() == 0) ptx::arrive(ctx.shared().full);
}
void barrier_used_before_the_sync(const Params&, Thread& ctx) {
  if (ctx.thread() == 0) ptx::init(ctx.shared().full, 128);
  ptx::arrive(ctx.shared().full);
}
void barrier_without_init_fence(const Params& p, Thread& ctx) {
  if (ctx.thread() == 0) ptx::init(ctx.shared().full, 1);
  ctx.sync();
  load_box(p, ctx);
  ptx::wait(ctx.shared().full, 0);
}
void barrier_overwritten(const Params&, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 1) ctx.store(reinterpret_cast<std::uint64_t*>(&ctx.shared().full), std::uint64_t{0});
}
void block_ends_with_copies_under_way(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 0) {
    ptx::expect(ctx.shared().full, box_bytes);
    ptx::load(&ctx.shared().tile[0], p.map, ctx.shared().full, 0, 0);
  }
}

// Registers in flight.

void accumulator_read_in_flight(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  ctx.store(p.d + ctx.thread(), d[3] * 2);
  ptx::wgmma_wait<0>();
}
void accumulator_written_in_flight(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  d[7] = 1;
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void wait_for_too_few_products(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  ptx::wgmma_wait<1>();
  put(p, ctx, d);
}
void registers_not_fenced(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  for (int i = 0; i < 2; ++i) {
    start_product(ctx, d);  // the second needs a fence of its own
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    d[0] += 1;
  }
  put(p, ctx, d);
}
void exits_with_products_in_flight(const Params&, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
}

// Convergence.

void one_warp_leaves_a_product_out(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  if (ctx.warp() != 3) start_product(ctx, d);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void warps_disagree_about_a_factor(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  const auto a = descriptor(ctx.warp() == 1 ? ctx.shared().other : ctx.shared().tile);
  ptx::wgmma_ss<0, 0>(d, a, descriptor(ctx.shared().other), 0);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void half_a_warp_stores_matrices(const Params&, Thread& ctx) {
  if (ctx.lane() < 16) ptx::stmatrix(ptx::address(&ctx.shared().tile[0]) + ctx.lane() * 16, 0, 0, 0, 0);
}
void elect_in_a_branch(const Params& p, Thread& ctx) {
  if (ctx.lane() < 7 && ptx::elect()) ctx.store(p.d, 1.0f);
}

// Races.

void warps_write_the_same_rows(const Params&, Thread& ctx) {
  ptx::stmatrix(ptx::address(&ctx.shared().tile[0]) + ctx.lane() * 16, 0, 0, 0, 0);
}
void product_of_what_another_warp_writes(const Params& p, Thread& ctx) {
  prepare(ctx);
  if (ctx.thread() == 33) ctx.shared().tile[8] = bf16(2.0f), ptx::fence_async();
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void written_while_products_read(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  if (ctx.thread() == 33) ctx.shared().tile[8] = bf16(2.0f);
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void blocks_store_the_same_rows(const Params& p, Thread& ctx) {
  for (int i = ctx.thread(); i < 64 * 64; i += ctx.threads())
    ctx.shared().tile[i] = bf16(static_cast<float>(ctx.block_x()));
  ptx::fence_async();
  ctx.sync();
  if (ctx.thread() == 0) store_box(p, ctx), ptx::wait_stores();
}

// Descriptors and addresses.

void stride_leads_to_nothing(const Params& p, Thread& ctx) {
  for (int i = ctx.thread(); i < 64 * 16; i += ctx.threads()) ctx.shared().tile[i] = bf16(1.0f);
  fill(ctx, ctx.shared().other);
  ptx::fence_async();
  ctx.sync();
  float d[32] = {};
  ptx::wgmma_fence();
  ptx::wgmma_ss<0, 0>(d, ptx::descriptor(ptx::address(&ctx.shared().tile[0]), 16, 2048), descriptor(ctx.shared().other),
                      0);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void descriptor_leaves_shared_memory(const Params& p, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  ptx::wgmma_ss<0, 0>(d, ptx::descriptor(ptx::address(&ctx.shared().tile[0]), 16, 32768),
                      descriptor(ctx.shared().other), 0);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  put(p, ctx, d);
}
void box_not_aligned(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 0) ptx::load(&ctx.shared().tile[8], p.map, ctx.shared().full, 0, 0);
}
void coordinates_of_another_map(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 0) ptx::load(&ctx.shared().tile[0], p.map, ctx.shared().full, 0, 0, 0);
}
void store_of_nothing(const Params& p, Thread& ctx) {
  if (ctx.thread() == 0) store_box(p, ctx), ptx::wait_stores();
}
void more_registers_than_there_are(const Params&, Thread& ctx) {
  if (ctx.thread() < 128) ptx::fewer_registers<120>();
  if (ctx.thread() >= 128) ptx::more_registers<256>();
}

// Clusters.

void leaves_its_cluster_early(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  ptx::cluster_sync();
  if (ptx::cluster_rank() == 0) {
    if (ctx.thread() == 0) {
      ptx::arrive_expecting(ctx.shared().full, box_bytes);
      ptx::load_multicast(&ctx.shared().tile[0], p.map, ctx.shared().full, 3, 0, 0);
    }
    ptx::wait(ctx.shared().full, 0);
  }
}
void arrives_at_a_block_that_may_be_gone(const Params&, Thread& ctx) {
  make_barriers(ctx);
  ptx::cluster_sync();
  if (ctx.thread() == 0 && ptx::cluster_rank() == 1) ptx::arrive_remote(ctx.shared().full, 0);
}
void reaches_a_block_that_is_not_there_yet(const Params&, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 0) ptx::arrive_remote(ctx.shared().full, ptx::cluster_rank() ^ 1);
  ptx::cluster_sync();
}
void one_block_misses_the_cluster(const Params&, Thread&) {
  if (ptx::cluster_rank() == 0) ptx::cluster_sync();
}
void multicast_to_nobody(const Params& p, Thread& ctx) {
  make_barriers(ctx);
  if (ctx.thread() == 0) ptx::load_multicast(&ctx.shared().tile[0], p.map, ctx.shared().full, 6, 0, 0);
  ptx::cluster_sync();
}

}  // namespace

TEST_CASE("Memory written by threads needs a fence before the copy engine or wgmma reads it") {
  faults_with<store_without_fence>("missing proxy fence");
  faults_with<fence_by_another_thread>("missing proxy fence");
  faults_with<fence_after_the_barrier>("missing proxy fence");
  faults_with<product_without_fence>("missing proxy fence");
  faults_with<load_over_unfenced_writes>("missing proxy fence");
  faults_with<stored_as_it_should_be>("");
}

TEST_CASE("What works beside the threads must be waited for") {
  faults_with<read_without_wait>("hasn't waited for");
  faults_with<one_warp_does_not_wait>("hasn't waited for");
  faults_with<product_without_wait>("hasn't waited for");
  faults_with<staging_overwritten>("may still read");
  faults_with<another_thread_waits_for_stores>("may still read");
  faults_with<waits_for_too_few_stores>("may still read");
  faults_with<exits_before_stores_are_read>("exits while stores");
  faults_with<load_while_products_read>("may still read");
  faults_with<copies_not_waited_for>("on its way");
  faults_with<copies_of_others_not_synchronised>("shared memory");
}

TEST_CASE("mbarriers count arrivals and bytes, and their phases are waited for in turn") {
  faults_with<too_few_bytes_expected>("wrong byte count");
  faults_with<too_many_bytes_expected>("16 bytes are missing");
  faults_with<phase_waited_on_twice>("a phase waited on twice");
  faults_with<arrives_too_often>("more arrivals than the 1 of a phase");
  faults_with<nobody_arrives>("1 arrivals and 0 bytes are missing");
  // Not in every order: thread 0 may be quick enough.
  faults_with<phase_may_be_missed>("parity", {Schedule::round_robin, Schedule::adversarial});
  faults_with<barrier_not_made>("no mbarrier was made here");
  faults_with<barrier_used_before_the_sync>("mbarrier");
  faults_with<barrier_without_init_fence>("fence_barrier_init");
  faults_with<barrier_overwritten>("an mbarrier lies");
  faults_with<block_ends_with_copies_under_way>("copies to its shared memory");
}

TEST_CASE("Registers in flight must be left alone") {
  faults_with<accumulator_read_in_flight>("accumulator touched in flight");
  faults_with<accumulator_written_in_flight>("accumulator touched in flight");
  faults_with<wait_for_too_few_products>("accumulator touched in flight");
  faults_with<registers_not_fenced>("wgmma without wgmma_fence");
  faults_with<exits_with_products_in_flight>("products in flight");
}

TEST_CASE("Collectives of warps and warpgroups need all of them") {
  faults_with<one_warp_leaves_a_product_out>("unconverged wgmma");
  faults_with<warps_disagree_about_a_factor>("different descriptors");
  faults_with<half_a_warp_stores_matrices>("ptx::stmatrix");
  faults_with<elect_in_a_branch>("ptx::elect");
}

TEST_CASE("Races of warps, and of threads with products") {
  faults_with<warps_write_the_same_rows>("race in shared memory");
  faults_with<product_of_what_another_warp_writes>("race in shared memory");
  faults_with<written_while_products_read>("shared memory");
  faults_with<blocks_store_the_same_rows, 128, 2>("race in global memory");
}

TEST_CASE("Descriptors, boxes and registers that lead nowhere") {
  faults_with<stride_leads_to_nothing>("not written since the block began");
  faults_with<descriptor_leaves_shared_memory>("out of shared memory");
  faults_with<box_not_aligned>("isn't aligned");
  faults_with<coordinates_of_another_map>("map of 2 dimensions");
  faults_with<store_of_nothing>("not written since the block began");
  faults_with<more_registers_than_there_are, 384>("more_registers takes more");
}

TEST_CASE("Blocks of a cluster must not leave while others reach them") {
  faults_with<leaves_its_cluster_early, 128, 2>("of the cluster");
  faults_with<arrives_at_a_block_that_may_be_gone, 128, 2>("cluster");
  faults_with<reaches_a_block_that_is_not_there_yet, 128, 2>("mbarrier");
  faults_with<one_block_misses_the_cluster, 128, 2>("cluster");
  faults_with<multicast_to_nobody, 128, 2>("which the cluster has not");
}
