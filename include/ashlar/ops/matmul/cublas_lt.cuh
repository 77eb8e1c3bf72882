// Matrix product by cuBLASLt: its algorithm is chosen once for each shape and remembered. Empty under the emulator.
#pragma once

#include "ashlar/core/platform.hpp"

#if !ASHLAR_CUDA_EMULATED

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <type_traits>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/ops/matmul/transpose.hpp"
#include "ashlar/ops/matmul/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace detail {

template <class T>
constexpr cudaDataType_t cuda_type = std::is_same_v<T, double>  ? CUDA_R_64F
                                     : std::is_same_v<T, float> ? CUDA_R_32F
                                                                : CUDA_R_16BF;

/// What the choice of an algorithm depends on. The alignments are those of the addresses of a, b and c, at most 256.
struct CublasKey {
  void* blas;
  index_t m, n, k, lda, ldb, ldc;
  bool transpose_a, transpose_b;
  std::uint32_t align_a, align_b, align_c;
  friend bool operator==(const CublasKey&, const CublasKey&) = default;
};

inline std::uint32_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) | 256u;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

/// Throws Error, naming the call and the product, unless `status` is success.
inline void check_cublas(cublasStatus_t status, std::string_view call, const CublasKey& p) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  fail(concat("matmul: ", call, ": ", std::string_view(cublasLtGetStatusString(status)), ", for m ", p.m, ", n ", p.n,
              ", k ", p.k, ", row strides ", p.lda, p.transpose_a ? " (a transposed), " : ", ", p.ldb,
              p.transpose_b ? " (b transposed), " : ", ", p.ldc));
}

/// The descriptions of one product. cuBLASLt stores by columns: what it is asked for is c^T = op(b)^T op(a)^T, so its
/// first operand is b and its second is a.
template <class T, class C>
struct CublasProduct {
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t a, b, c;

  explicit CublasProduct(const CublasKey& p) {
    constexpr bool is_double = std::is_same_v<T, double>;
    check_cublas(cublasLtMatmulDescInit(&product, is_double ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                        is_double ? CUDA_R_64F : CUDA_R_32F),
                 "cublasLtMatmulDescInit", p);
    set_transpose(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b, p);
    set_transpose(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a, p);
    set_layout<T>(a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, p);
    set_layout<T>(b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, p);
    set_layout<C>(c, p.m, p.n, p.ldc, p);
  }

 private:
  void set_transpose(cublasLtMatmulDescAttributes_t which, bool transposed, const CublasKey& p) {
    const cublasOperation_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check_cublas(cublasLtMatmulDescSetAttribute(&product, which, &operation, sizeof operation),
                 "cublasLtMatmulDescSetAttribute", p);
  }
  template <class Element>
  static void set_layout(cublasLtMatrixLayoutOpaque_t& layout, index_t rows, index_t cols, index_t stride,
                         const CublasKey& p) {
    check_cublas(cublasLtMatrixLayoutInit(&layout, cuda_type<Element>, static_cast<std::uint64_t>(cols),
                                          static_cast<std::uint64_t>(rows), stride),
                 "cublasLtMatrixLayoutInit", p);
  }
};

/// The algorithm that cuBLASLt's heuristic puts first.
template <class T, class C>
cublasLtMatmulAlgo_t choose_algorithm(const CublasKey& key, CublasProduct<T, C>& p) {
  cublasLtMatmulPreferenceOpaque_t preference;
  check_cublas(cublasLtMatmulPreferenceInit(&preference), "cublasLtMatmulPreferenceInit", key);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(&preference, which, &value, sizeof value),
                 "cublasLtMatmulPreferenceSetAttribute", key);
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{Cuda::Queue::workspace_bytes});
  // Partial sums are added in the type that sums are kept in, not in that of the result.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.align_b);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.align_a);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.align_c);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.align_c);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  check_cublas(cublasLtMatmulAlgoGetHeuristic(static_cast<cublasLtHandle_t>(key.blas), &p.product, &p.b, &p.a, &p.c,
                                              &p.c, &preference, 1, &found, &count),
               "cublasLtMatmulAlgoGetHeuristic", key);
  if (count == 0) check_cublas(CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmulAlgoGetHeuristic", key);
  return found.algo;
}

/// The algorithm for `key`. Each host thread remembers the last ones it used: asking takes longer than most launches.
template <class T, class C>
cublasLtMatmulAlgo_t cached_algorithm(const CublasKey& key, CublasProduct<T, C>& p) {
  struct Entry {
    CublasKey key;
    cublasLtMatmulAlgo_t algorithm;
  };
  thread_local std::vector<Entry> cache;
  thread_local std::size_t oldest = 0;
  for (const Entry& entry : cache)
    if (entry.key == key) return entry.algorithm;
  const Entry entry{key, choose_algorithm(key, p)};
  if (cache.size() < matmul_tuning.cached_algorithms) {
    cache.push_back(entry);
  } else {
    cache[oldest] = entry;
    oldest = (oldest + 1) % cache.size();
  }
  return entry.algorithm;
}

}  // namespace detail

/// Puts c = op(a) op(b) + beta c on the queue: ops/matmul/matmul.hpp says more. The summed dimension isn't empty.
/// Throws Error when cuBLASLt refuses, naming the call and the shape.
template <class T, class C>
void cublas_matmul(Cuda::Queue& queue, TensorView<const T, Cuda> a, Transpose ta, TensorView<const T, Cuda> b,
                   Transpose tb, TensorView<C, Cuda> c, double beta) {
  const bool transpose_a = ta == Transpose::yes;
  const detail::CublasKey key{.blas = queue.blas(),
                              .m = c.rows(),
                              .n = c.cols(),
                              .k = transpose_a ? a.rows() : a.cols(),
                              .lda = a.row_stride(),
                              .ldb = b.row_stride(),
                              .ldc = c.row_stride(),
                              .transpose_a = transpose_a,
                              .transpose_b = tb == Transpose::yes,
                              .align_a = detail::alignment_of(a.data()),
                              .align_b = detail::alignment_of(b.data()),
                              .align_c = detail::alignment_of(c.data())};
  detail::CublasProduct<T, C> product(key);
  const cublasLtMatmulAlgo_t algorithm = detail::cached_algorithm(key, product);
  const Acc<T> one = 1, factor = static_cast<Acc<T>>(beta);
  detail::check_cublas(
      cublasLtMatmul(static_cast<cublasLtHandle_t>(queue.blas()), &product.product, &one, b.data(), &product.b,
                     a.data(), &product.a, &factor, c.data(), &product.c, c.data(), &product.c, &algorithm,
                     queue.workspace(), Cuda::Queue::workspace_bytes, static_cast<cudaStream_t>(queue.stream())),
      "cublasLtMatmul", key);
}

}  // namespace ashlar::inline v0::ops::cuda

#endif
