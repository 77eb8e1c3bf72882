// Matrix product on Cuda: cuBLASLt, or under the emulator the Cpu's product on emulated memory. Read next:
// ops/matmul/cublas_lt.cuh, ops/matmul/tuning.hpp.
#pragma once

#include <utility>

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

/// What is to be cut off n so that the rest is fit for wide loads; 0 where that is not worth another product.
template <class T>
constexpr index_t odd_part(index_t n) {
  return std::is_same_v<T, bf16> && n >= matmul_tuning.cut_from ? n % matmul_tuning.wide : 0;
}

}  // namespace kernel

/// A product of bf16 with many rows or columns or a long sum, as with a vocabulary of 50,257, is two, of which one has
/// a size that cuBLASLt's fast kernels take; where the sum is cut and c is bf16, c is rounded twice. Rows are cut where
/// they lie next to each other in a, and so is a sum where it does in a or b: elsewhere a size may be any.
template <class T, class C>
void matmul(Cuda::Queue& queue, TensorView<const T, Cuda> a, Transpose ta, TensorView<const T, Cuda> b, Transpose tb,
            TensorView<C, Cuda> c, double beta) {
  if ((ta == Transpose::yes ? a.rows() : a.cols()) == 0) {
    if (beta != 1) launch<kernel::ScaleResult<C>>(queue, {c.rows()}, {rows_of(c), c.cols(), static_cast<Acc<C>>(beta)});
    return;
  }
  const index_t m = c.rows(), n = c.cols(), k = ta == Transpose::yes ? a.rows() : a.cols();
  if (const index_t odd = ta == Transpose::yes ? kernel::odd_part<T>(m) : 0) {
    for (const auto& [begin, count] : {std::pair{index_t{0}, m - odd}, std::pair{m - odd, odd}})
      cuda::matmul<T, C>(queue, a.columns(begin, count), ta, b, tb, c.rows(begin, count), beta);
    return;
  }
  if (const index_t odd = kernel::odd_part<T>(n)) {
    for (const auto& [begin, count] : {std::pair{index_t{0}, n - odd}, std::pair{n - odd, odd}})
      cuda::matmul<T, C>(queue, a, ta, tb == Transpose::yes ? b.rows(begin, count) : b.columns(begin, count), tb,
                         c.columns(begin, count), beta);
    return;
  }
  if (const index_t odd = ta == Transpose::yes && tb == Transpose::no ? 0 : kernel::odd_part<T>(k)) {
    for (const auto& [begin, count] : {std::pair{index_t{0}, k - odd}, std::pair{k - odd, odd}})
      cuda::matmul<T, C>(queue, ta == Transpose::yes ? a.rows(begin, count) : a.columns(begin, count), ta,
                         tb == Transpose::yes ? b.columns(begin, count) : b.rows(begin, count), tb, c,
                         begin == 0 ? beta : 1);
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
