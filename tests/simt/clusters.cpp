// Blocks of a cluster live together: they reach each other's shared memory and mbarriers, and one copy fills several.
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace {

using namespace ashlar;

/// out[block, i] = x[i]: each block of the cluster loads its part of x into all of them.
struct Share {
  static constexpr int threads = 64, cluster = 4, arch = 90, part = 64;
  struct Params {
    ptx::TensorMap x;  // [1, 4 part]
    bf16* out;         // [blocks, 4 part]
    int rounds;
  };
  struct Shared {
    alignas(128) SharedArray<bf16, cluster * part> x;
    ptx::Barrier full, empty;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    const int rank = ptx::cluster_rank();
    if (ctx.thread() == 0) {
      ptx::init(s.full, 1);
      ptx::init(s.empty, cluster);
      ptx::fence_barrier_init();
    }
    ptx::cluster_sync();
    for (int round = 0; round < p.rounds; ++round) {
      if (ctx.thread() == 0) {
        ptx::wait_cluster(s.empty, round % 2 ^ 1);  // all blocks are done with what this one overwrites
        ptx::arrive_expecting(s.full, cluster * part * 2);
        ptx::load_multicast(&s.x[rank * part], p.x, s.full, (1u << cluster) - 1, rank * part, round);
      }
      ptx::wait(s.full, round % 2);
      for (int i = ctx.thread(); i < cluster * part; i += threads)
        ctx.store(p.out + (ctx.block_x() * p.rounds + round) * (cluster * part) + i, bf16(float(s.x[i])));
      ctx.sync();
      if (ctx.thread() < cluster) ptx::arrive_remote(s.empty, ctx.thread());
    }
    ptx::cluster_sync();
  }
};

/// out[block] = the sum of block numbers of the cluster: each writes its number to the others.
struct Gather {
  static constexpr int threads = 32, cluster = 2, arch = 90;
  struct Params {
    int* out;  // [blocks]
  };
  struct Shared {
    SharedArray<int, 2> number;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    const int rank = ptx::cluster_rank();
    ptx::cluster_sync();  // the other block is there
    if (ctx.thread() < ptx::cluster_size())
      ctx.store(ptx::peer(&s.number[rank], ctx.thread()), static_cast<int>(ctx.block_x()));
    ptx::cluster_arrive();
    ptx::cluster_wait();
    if (ctx.thread() == 0) ctx.store(p.out + ctx.block_x(), int(s.number[0]) + int(s.number[1]));
  }
};

}  // namespace

TEST_CASE("A multicast fills every block of a cluster, and remote arrivals give it leave") {
  Cuda::Queue queue;
  constexpr int rounds = 5;
  std::vector<bf16> x;
  for (int i = 0; i < rounds * 256; ++i) x.emplace_back(static_cast<float>(i % 251));
  std::vector<float> expected;
  for (int block = 0; block < 8; ++block) expected.insert(expected.end(), x.begin(), x.end());
  const DeviceArray<bf16> from(queue, x);
  const auto map = tensor_map(from.get(), TensorMapShape<2>{{256, rounds}, {256}, {Share::part, 1}, Swizzle::none});
  under_every_schedule([&] {
    DeviceArray<bf16> out(8 * rounds * 256);
    launch<Share>(queue, Grid{8}, {map, out.get(), rounds});
    const std::vector<bf16> got = out.download(queue);
    CHECK(std::vector<float>(got.begin(), got.end()) == expected);
  });
}

TEST_CASE("Blocks of a cluster write to each other's shared memory") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    DeviceArray<int> out(6);
    launch<Gather>(queue, Grid{6}, {out.get()});
    CHECK(out.download(queue) == std::vector<int>{1, 1, 5, 5, 9, 9});
  });
}

#if ASHLAR_CUDA_EMULATED
TEST_CASE("A grid that clusters don't divide is refused") {
  Cuda::Queue queue;
  DeviceArray<int> out(3);
  CHECK_THROWS_WITH(launch<Gather>(queue, Grid{3}, {out.get()}), ContainsText("clusters of 2"));
}
#endif
