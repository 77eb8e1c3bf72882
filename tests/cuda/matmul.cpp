#include "ashlar/ops/matmul/cuda.cuh"

#include <array>

#include "ashlar/ops/matmul/matmul.hpp"
#include "device_tensor.hpp"

using namespace ashlar;
using ops::Transpose;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

template <class T, class C>
void check_product(index_t m, index_t n, index_t k, Transpose ta, Transpose tb, double beta, Layout layout) {
  TestTensor<T> a(ta == Transpose::yes ? Shape{k, m} : Shape{m, k}),
      b(tb == Transpose::yes ? Shape{n, k} : Shape{k, n});
  TestTensor<C> c({m, n});
  a.randomise(1);
  b.randomise(2);
  c.randomise(3);
  CAPTURE(m, n, k, ta, tb, beta, layout.offset, layout.gap);
  test::agrees_with_cpu(
      [&](auto device) {
        using D = decltype(device);
        auto& queue = test::queue<D>();
        const DeviceTensor<T, D> x(a, layout), y(b, layout);
        // With beta 0 nothing may read what c holds: it is unwritten.
        const DeviceTensor<C, D> given(c, layout), unwritten(c.shape(), layout);
        const DeviceTensor<C, D>& target = beta == 0 ? unwritten : given;
        ops::matmul<T, C, D>(queue, x, ta, y, tb, target, beta);
        return Results{{target.values()}};
      },
      16 * test::tolerance<C>, 0.5);
}

template <class T, class C>
void check_products() {
  int turn = 0;
  for (const index_t m : {0, 1, 8, 33})
    for (const index_t n : {1, 7, 64})
      for (const index_t k : {0, 1, 40, 65})
        for (const Transpose ta : {Transpose::no, Transpose::yes})
          for (const Transpose tb : {Transpose::no, Transpose::yes}) {
            const double beta = turn % 4 == 0 ? 1 : turn % 4 == 1 ? 0.5 : 0;
            check_product<T, C>(m, n, k, ta, tb, beta, test::layouts[turn++ % 3]);
          }
}

// Rows, columns and sums so large and odd that the product is cut.
template <class T, class C>
void check_cut_products() {
  constexpr index_t large = ops::matmul_tuning.cut_from;
  int turn = 0;
  using Sizes = std::array<index_t, 3>;
  for (const auto& [m, n, k] :
       {Sizes{5, large + 1, 40}, Sizes{5, 9, large + 5}, Sizes{5, large + 7, large + 3}, Sizes{large + 3, 9, 40}})
    for (const Transpose ta : {Transpose::no, Transpose::yes})
      for (const Transpose tb : {Transpose::no, Transpose::yes}) {
        const double beta = turn % 3 == 0 ? 1 : turn % 3 == 1 ? 0.5 : 0;
        check_product<T, C>(m, n, k, ta, tb, beta, test::layouts[turn++ % 3]);
      }
}

}  // namespace

TEST_CASE("matmul on Cuda agrees with Cpu, float", "[matmul]") {
  check_products<float, float>();
}
TEST_CASE("matmul on Cuda agrees with Cpu, double", "[matmul]") {
  check_products<double, double>();
}
TEST_CASE("matmul on Cuda agrees with Cpu, bf16", "[matmul]") {
  check_products<bf16, bf16>();
  check_cut_products<bf16, bf16>();
}
TEST_CASE("matmul on Cuda agrees with Cpu, bf16 added to float", "[matmul]") {
  check_products<bf16, float>();
  check_cut_products<bf16, float>();
}

#if ASHLAR_CUDA_EMULATED
TEST_CASE("matmul on Cuda notices operands that nothing wrote", "[matmul]") {
  auto& queue = test::queue<Cuda>();
  TestTensor<float> host({4, 4});
  host.randomise(1);
  const DeviceTensor<float, Cuda> written(host), unwritten({4, 4}), c({4, 4});
  const auto product = [&](const auto& a, const auto& b, double beta) {
    ops::matmul<float, float, Cuda>(queue, a, Transpose::no, b, Transpose::no, c, beta);
  };
  CHECK_THROWS_AS(product(unwritten, written, 0), simt::Fault);
  CHECK_THROWS_AS(product(written, unwritten, 0), simt::Fault);
  CHECK_THROWS_AS(product(written, written, 1), simt::Fault);
  CHECK_NOTHROW(product(written, written, 0));
  CHECK_NOTHROW(product(written, written, 1));
}
#endif
