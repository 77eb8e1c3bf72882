// Every rule of mbarriers, of the copy engine and of clusters that the emulator knows has a kernel here that breaks it,
// and is caught under every schedule, with the line.
#include "simt/planted.hpp"

namespace {

using namespace ashlar;
using namespace ashlar::planted;

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

// Boxes.

void begins_between_units(const Params& p, Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  ptx::fence_async();
  ctx.sync();
  if (ctx.thread() == 0) ptx::store(p.out, &ctx.shared().tile[0], 3, 0), ptx::commit_stores(), ptx::wait_stores();
}

}  // namespace

TEST_CASE("A box begins at a multiple of 16 bytes: a GPU stops with an illegal instruction where it does not") {
  faults_with<begins_between_units>("multiples of 16 bytes");
}

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

TEST_CASE("Blocks of a cluster must not leave while others reach them") {
  faults_with<leaves_its_cluster_early, 128, 2>("of the cluster");
  faults_with<arrives_at_a_block_that_may_be_gone, 128, 2>("cluster");
  faults_with<reaches_a_block_that_is_not_there_yet, 128, 2>("mbarrier");
  faults_with<one_block_misses_the_cluster, 128, 2>("cluster");
  faults_with<multicast_to_nobody, 128, 2>("which the cluster has not");
}
