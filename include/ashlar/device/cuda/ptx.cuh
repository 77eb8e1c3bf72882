// The instructions of Hopper (sm_90a), and of sm_80 the asynchronous ones: the only home of their inline PTX. Functions
// of namespace ptx take no context: under nvcc each is an instruction, under the emulator a model of it
// that checks its rules, so one kernel text serves both. The parts:
//
//   ptx/barrier.cuh     Barrier (mbarrier): init, arrive, arrive_expecting, wait by parity; address
//   ptx/bulk_copy.cuh   the copy engine: load, load_multicast, store, add of a TensorMap's boxes, and of plain bytes
//   ptx/control.cuh     fence_async, registers, named barriers, elect, clusters, programmatic dependent launch
//   ptx/descriptor.cuh  descriptor: how wgmma finds a matrix in shared memory
//   ptx/wgmma.cuh       wgmma_ss, wgmma_rs with wgmma_fence, wgmma_commit, wgmma_wait, hold
//   ptx/matrix.cuh      pack, ldmatrix, stmatrix, mma; copy16 (cp.async)
//   tensor_map.hpp      tensor_map: made on the host, carried by Kernel::Params
//   swizzle.hpp         swizzled: where a byte of a swizzled tile lies
//
// A pipeline as small as it can be: d [64, 64] = a [64, K] b [64, K]^T, bf16, a block of two warpgroups. One thread of
// the first loads slices of 64 columns as far ahead as there are stages; the second multiplies.
//
//   struct Product {
//     static constexpr int threads = 256, stages = 4;
//     static constexpr int min_blocks = 1;                        // without it more_registers is ignored
//     static constexpr int arch = 90;                             // the body is compiled for sm_90a alone
//     struct Params {
//       ptx::TensorMap a, b, d;                                   // boxes of 64 x 64, Swizzle::b128
//       int steps;                                                // K / 64, rounded up: what lies beyond loads as zero
//     };
//     struct Shared {                                             // above 48 KiB it is dynamic; launch sees to it
//       struct Tile { alignas(1024) SharedArray<bf16, 64 * 64> elements; };
//       Tile a[stages], b[stages], d;
//       ptx::Barrier full[stages], empty[stages];
//     };
//
//     ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
//       Shared& s = ctx.shared();
//       if (ctx.thread() == 0) {
//         for (int i = 0; i < stages; ++i) ptx::init(s.full[i], 1), ptx::init(s.empty[i], 1);
//         ptx::fence_barrier_init();
//       }
//       ctx.sync();
//       if (ctx.thread() < 128) {
//         ptx::fewer_registers<40>();                             // by the whole warpgroup
//         if (ctx.thread() == 0) load(p, s);
//       } else {
//         ptx::more_registers<232>();
//         multiply(p, ctx);
//       }
//     }
//
//     ASHLAR_DEVICE static void load(const Params& p, Shared& s) {
//       for (int i = 0; i < p.steps; ++i) {
//         const int at = i % stages, parity = i / stages % 2;
//         ptx::wait(s.empty[at], parity ^ 1);                     // of a new barrier, parity 1 counts as over
//         ptx::arrive_expecting(s.full[at], 2 * 64 * 64 * 2);     // all bytes of the boxes, those outside too
//         ptx::load(&s.a[at].elements[0], p.a, s.full[at], 64 * i, 0);  // column, row: innermost first
//         ptx::load(&s.b[at].elements[0], p.b, s.full[at], 64 * i, 0);
//       }
//     }
//
//     ASHLAR_DEVICE static void multiply(const Params& p, Simt<Shared>& ctx) {
//       Shared& s = ctx.shared();
//       const int thread = ctx.thread() % 128, row = thread / 32 * 16 + ctx.lane() % 16;
//       float d[32];                                              // [64, 64]: 32 numbers a thread
//       for (float& x : d) x = 0;
//       for (int i = 0; i < p.steps; ++i) {
//         const int at = i % stages, parity = i / stages % 2;
//         ptx::wait(s.full[at], parity);
//         const auto a = ptx::address(&s.a[at].elements[0]), b = ptx::address(&s.b[at].elements[0]);
//         ptx::hold(d);
//         ptx::wgmma_fence();
//   #pragma unroll
//         for (int k = 0; k < 4; ++k)                             // 16 columns an instruction, 32 bytes
//           ptx::wgmma_ss<0, 0>(d, ptx::descriptor(a + 32 * k), ptx::descriptor(b + 32 * k), 1);
//         ptx::wgmma_commit();
//         ptx::wgmma_wait<0>();                                   // <1> would keep one step in flight
//         ptx::hold(d);
//         if (thread == 0) ptx::arrive(s.empty[at]);
//       }
//       const auto to = ptx::address(&s.d.elements[0]);
//   #pragma unroll
//       for (int j = 0; j < 8; j += 2)                            // two 8-column pieces of 16 rows a stmatrix
//         ptx::stmatrix(to + swizzled<Swizzle::b128>(row * 128 + (j + ctx.lane() / 16) * 16),
//                       ptx::pack(d[4 * j], d[4 * j + 1]), ptx::pack(d[4 * j + 2], d[4 * j + 3]),
//                       ptx::pack(d[4 * j + 4], d[4 * j + 5]), ptx::pack(d[4 * j + 6], d[4 * j + 7]));
//       ptx::fence_async();                                       // by every thread that wrote,
//       ptx::bar_sync(1, 128);                                    // then a barrier, then one thread starts the store
//       if (thread == 0) {
//         ptx::store(p.d, &s.d.elements[0], 0, 0);
//         ptx::commit_stores();
//         ptx::wait_stores();                                     // shared memory must live until it is read
//       }
//     }
//   };
//
//   const auto box = [](bf16* x, index_t rows, index_t cols) {    // row-major [rows, cols]
//     return tensor_map(x, TensorMapShape<2>{{cols, rows}, {cols}, {64, 64}});
//   };
//   launch<Product>(queue, Grid{1}, {box(a, 64, k), box(b, 64, k), box(d, 64, 64), steps});
#pragma once

#include "ashlar/core/platform.hpp"
#include "ashlar/device/cuda/simt.cuh"

#if ASHLAR_CUDA_EMULATED
#include "ashlar/emulator/ptx.hpp"  // the same names, as models
#elif defined(__CUDACC__)
#include "ashlar/device/cuda/ptx/barrier.cuh"
#include "ashlar/device/cuda/ptx/bulk_copy.cuh"
#include "ashlar/device/cuda/ptx/control.cuh"
#include "ashlar/device/cuda/ptx/matrix.cuh"
#include "ashlar/device/cuda/ptx/wgmma.cuh"
#endif
