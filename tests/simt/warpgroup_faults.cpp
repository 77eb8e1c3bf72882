// Every rule of wgmma and of the collectives around it that the emulator knows has a kernel here that breaks it, and is
// caught under every schedule, with the line.
#include "simt/planted.hpp"

namespace {

using namespace ashlar;
using namespace ashlar::planted;

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
void accumulator_staged_in_flight(const Params&, Thread& ctx) {
  prepare(ctx);
  float d[32] = {};
  ptx::wgmma_fence();
  start_product(ctx, d);
  ptx::wgmma_commit();
  ctx.shared().tile[64 * 32 + ctx.thread()] = bf16(d[5]);
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

}  // namespace

TEST_CASE("Registers in flight must be left alone") {
  faults_with<accumulator_read_in_flight>("accumulator touched in flight");
  faults_with<accumulator_staged_in_flight>("accumulator touched in flight");
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

namespace {

/// d = a, its first 16 columns, times one; a [64, 64] comes swizzled by 128 bytes. How the descriptor of a has it is
/// the question.
template <Swizzle Said, int StrideBytes, int StepBytes>
struct TimesOne {
  static constexpr int threads = 128, arch = 90;
  struct Params {
    ptx::TensorMap a;
    float* d;  // [64, 16]
  };
  struct Shared {
    alignas(1024) SharedArray<bf16, 64 * 64> a;
    alignas(1024) SharedArray<bf16, 16 * 64> one;
    ptx::Barrier full;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      ptx::init(s.full, 1);
      ptx::fence_barrier_init();
    }
    for (int i = ctx.thread(); i < 16 * 64; i += threads) {
      const auto at = static_cast<std::uint32_t>(i) * 2;
      s.one[static_cast<int>(swizzled<Swizzle::b128>(at) / 2)] = bf16(i / 64 == i % 64 ? 1.0f : 0.0f);
    }
    ptx::fence_async();
    ctx.sync();
    if (ctx.thread() == 0) {
      ptx::arrive_expecting(s.full, 64 * 64 * 2);
      ptx::load(&s.a[0], p.a, s.full, 0, 0);
    }
    ptx::wait(s.full, 0);
    float d[8] = {};
    ptx::wgmma_fence();
    ptx::wgmma_ss<0, 0>(d, ptx::descriptor(ptx::address(&s.a[0]) + StepBytes, 16, StrideBytes, Said),
                        ptx::descriptor(ptx::address(&s.one[0])), 0);
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    for (int i = 0; i < 8; ++i) {
      const int row = 16 * ctx.warp() + ctx.lane() / 4 + 8 * (i / 2 % 2),
                col = 8 * (i / 4) + 2 * (ctx.lane() % 4) + i % 2;
      ctx.store(p.d + row * 16 + col, d[i]);
    }
  }
};

template <class Kernel>
std::vector<float> times_one() {
  Cuda::Queue queue;
  std::vector<bf16> a;
  for (int i = 0; i < 64 * 64; ++i) a.emplace_back(static_cast<float>(i / 64 * 4 % 256 + i % 64 % 4));
  DeviceArray<bf16> on_a(queue, a);
  DeviceArray<float> d(64 * 16);
  launch<Kernel>(queue, Grid{1}, {tensor_map(on_a.get(), TensorMapShape<2>{{64, 64}, {64}, {64, 64}}), d.get()});
  return d.download(queue);
}

}  // namespace

TEST_CASE("A wrong stride or swizzle gives wrong numbers") {
  std::vector<float> expected;
  for (int i = 0; i < 64 * 16; ++i) expected.push_back(static_cast<float>(i / 16 * 4 % 256 + i % 16 % 4));
  CHECK(times_one<TimesOne<Swizzle::b128, 1024, 0>>() == expected);
  CHECK(times_one<TimesOne<Swizzle::b64, 1024, 0>>() != expected);
  CHECK(times_one<TimesOne<Swizzle::none, 1024, 0>>() != expected);
  CHECK(times_one<TimesOne<Swizzle::b128, 512, 0>>() != expected);
  CHECK(times_one<TimesOne<Swizzle::b128, 1024, 256>>() != expected);
}
