// Matrix product on Cuda: cuBLASLt, or under the emulator the Cpu's product on emulated memory. Read next:
// ops/matmul/cublas_lt.cuh, ops/matmul/tuning.hpp.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/matmul/cublas_lt.cuh"
#include "ashlar/ops/matmul/transpose.hpp"
#include "ashlar/ops/matmul/tuning.hpp"

#if ASHLAR_CUDA_EMULATED
#include "ashlar/ops/matmul/cpu.hpp"
#endif

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// c = beta c, where beta 0 clears what c holds: a product of no terms.
template <class C>
struct ScaleResult {
  struct Params {
    Rows<C> c;
    index_t cols;
    Acc<C> beta;
  };
  using Shared = NoShared;
  static constexpr int threads = matmul_tuning.scale_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    C* const row = p.c[ctx.block_x()];
    for (index_t j = ctx.thread(); j < p.cols; j += threads)
      ctx.store(row + j, p.beta == 0 ? C(Acc<C>(0)) : C(p.beta * Acc<C>(ctx.load(row + j))));
  }
};

#if ASHLAR_CUDA_EMULATED
/// What cuBLASLt reads must have been written, and what it writes counts as written.
template <class T>
void check_operand(TensorView<T, Cuda> x, simt::Access access, std::string_view name) {
  for (index_t i = 0; i < x.rows(); ++i)
    simt::check_device_memory(x.row(i), static_cast<std::size_t>(x.cols()) * sizeof(T), access, name);
}
template <class T>
TensorView<T, Cpu> on_host(TensorView<T, Cuda> x) {
  return {x.data(), x.shape(), x.row_stride()};
}
#endif

}  // namespace kernel

template <class T, class C>
void matmul(Cuda::Queue& queue, TensorView<const T, Cuda> a, Transpose ta, TensorView<const T, Cuda> b, Transpose tb,
            TensorView<C, Cuda> c, double beta) {
  if ((ta == Transpose::yes ? a.rows() : a.cols()) == 0) {
    if (beta != 1) launch<kernel::ScaleResult<C>>(queue, {c.rows()}, {rows_of(c), c.cols(), static_cast<Acc<C>>(beta)});
    return;
  }
#if ASHLAR_CUDA_EMULATED
  kernel::check_operand(a, simt::Access::read, "matmul: a");
  kernel::check_operand(b, simt::Access::read, "matmul: b");
  if (beta != 0) kernel::check_operand(c, simt::Access::read, "matmul: c, which is added to");
  kernel::check_operand(c, simt::Access::write, "matmul: c");
  cpu::matmul<T, C>(kernel::on_host(a), ta, kernel::on_host(b), tb, kernel::on_host(c), beta);
#else
  cublas_matmul<T, C>(queue, a, ta, b, tb, c, beta);
#endif
}

}  // namespace ashlar::inline v0::ops::cuda
