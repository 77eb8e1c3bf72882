// The example of docs/adding/an_operation.md, which quotes the parts between the markers. In the library each part
// would be a file of the folder ops/relu_squared.
#include "ashlar/core/loops.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "catch.hpp"
#include "ops/test_tensor.hpp"

#if ASHLAR_CUDA_EMULATED
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/row_tiles.cuh"
#include "cuda/device_tensor.hpp"
#endif

using namespace ashlar;

// [cpu]
namespace my_ops::cpu {

template <class T>
void relu_squared(TensorView<const T, Cpu> x, TensorView<T, Cpu> y) {
  using A = Acc<T>;
  const index_t rows = y.rows(), cols = y.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T* const in = x.row(i);
    T* const out = y.row(i);
    for (index_t c = 0; c < cols; ++c) {
      const A v = A(in[c]) < 0 ? A(0) : A(in[c]);  // NaN is not below 0: it goes through
      out[c] = T(v * v);
    }
  }
}

template <class T>
void relu_squared_backward(TensorView<const T, Cpu> dy, TensorView<const T, Cpu> x, TensorView<T, Cpu> dx) {
  using A = Acc<T>;
  const index_t rows = dx.rows(), cols = dx.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T *const in = x.row(i), *const d = dy.row(i);
    T* const out = dx.row(i);
    for (index_t c = 0; c < cols; ++c) {
      const A v = A(in[c]) < 0 ? A(0) : A(in[c]);
      out[c] = T(A(2) * v * A(d[c]));
    }
  }
}

}  // namespace my_ops::cpu
// [/cpu]

// [contract]
namespace my_ops {

namespace cuda {  // launchers: declared for the host compiler, defined in cuda.cuh
template <class T>
void relu_squared(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<T, Cuda> y);
template <class T>
void relu_squared_backward(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                           TensorView<T, Cuda> dx);
}  // namespace cuda

/// y [N, F] = max(x, 0)^2 (So et al. 2021, arXiv:2109.08668), in Acc<T>, rounded once. y may be x.
template <class T, class D>
void relu_squared(typename D::Queue& queue, In<T, D> x, TensorView<T, D> y) {
  check(x.count() == y.count(), "relu_squared: x and y must be [N, F]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * y.count(), x, y);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::relu_squared<T>(x, y);
  else
    cuda::relu_squared<T>(queue, x, y);
}

/// dx = 2 max(x, 0) dy. dx may be dy or x.
template <class T, class D>
void relu_squared_backward(typename D::Queue& queue, In<T, D> dy, In<T, D> x, TensorView<T, D> dx) {
  check(x.count() == dy.count() && dx.count() == dy.count(), "relu_squared_backward: all tensors must be [N, F]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(3.0 * dx.count(), dy, x, dx);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::relu_squared_backward<T>(dy, x, dx);
  else
    cuda::relu_squared_backward<T>(queue, dy, x, dx);
}

}  // namespace my_ops
// [/contract]

#if ASHLAR_CUDA_EMULATED
// [cuda]
namespace my_ops::cuda {

namespace kernel {

template <class T>
struct ReluSquared {
  using A = Acc<T>;
  struct Params {
    Rows<const T> x;
    Rows<T> y;
    RowTiles tiles;
  };
  using Shared = NoShared;
  static constexpr int threads = 256, tile = 4 * threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = p.tiles.row(ctx.block_x()), begin = p.tiles.begin(ctx.block_x()), end = p.tiles.end(begin);
    for (index_t c = begin + ctx.thread(); c < end; c += threads) {
      const A x = A(ctx.load(p.x[row] + c)), v = x < A(0) ? A(0) : x;
      ctx.store(p.y[row] + c, T(v * v));
    }
  }
};

template <class T>
struct ReluSquaredBackward {
  using A = Acc<T>;
  struct Params {
    Rows<const T> dy, x;
    Rows<T> dx;
    RowTiles tiles;
  };
  using Shared = NoShared;
  static constexpr int threads = 256, tile = 4 * threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = p.tiles.row(ctx.block_x()), begin = p.tiles.begin(ctx.block_x()), end = p.tiles.end(begin);
    for (index_t c = begin + ctx.thread(); c < end; c += threads) {
      const A x = A(ctx.load(p.x[row] + c)), v = x < A(0) ? A(0) : x;
      ctx.store(p.dx[row] + c, T(A(2) * v * A(ctx.load(p.dy[row] + c))));
    }
  }
};

}  // namespace kernel

template <class T>
void relu_squared(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<T, Cuda> y) {
  using Kernel = kernel::ReluSquared<T>;
  const auto tiles = RowTiles::over(Kernel::tile, x, y);
  launch<Kernel>(queue, {tiles.blocks()}, {rows_of(x), rows_of(y), tiles});
}

template <class T>
void relu_squared_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                           TensorView<T, Cuda> dx) {
  using Kernel = kernel::ReluSquaredBackward<T>;
  const auto tiles = RowTiles::over(Kernel::tile, dy, x, dx);
  launch<Kernel>(queue, {tiles.blocks()}, {rows_of(dy), rows_of(x), rows_of(dx), tiles});
}

}  // namespace my_ops::cuda
// [/cuda]
#endif

using test::TestTensor;

// [test]
TEMPLATE_TEST_CASE("relu_squared equals its formula, also in place", "[docs]", double, float, bf16) {
  using T = TestType;
  Cpu::Queue queue;
  for (index_t rows : {0, 1, 37})
    for (index_t cols : {1, 7, 65}) {
      TestTensor<T> x({rows, cols}, 3), y({rows, cols});  // rows of x are three elements apart
      x.randomise(1);
      my_ops::relu_squared<T, Cpu>(queue, x, y.view());
      std::vector<double> want;
      for (double v : x.values()) want.push_back(v > 0 ? v * v : 0);
      CHECK(test::max_error(y.values(), want) < test::tolerance<T>);
      CHECK(y.guards_intact());
      my_ops::relu_squared<T, Cpu>(queue, x, x.view());
      CHECK(x.values() == y.values());
    }
}

TEST_CASE("relu_squared_backward is the derivative of relu_squared", "[docs]") {
  Cpu::Queue queue;
  TestTensor<double> x({3, 5}), y({3, 5}), dy({3, 5}), dx({3, 5});
  x.randomise(1);
  dy.randomise(2);
  const auto want = test::finite_differences(x, [&] {
    my_ops::relu_squared<double, Cpu>(queue, x, y.view());
    return test::inner(y, dy);
  });
  my_ops::relu_squared_backward<double, Cpu>(queue, dy, x, dx.view());
  CHECK(test::max_error(dx.values(), want, 1) < 1e-8);
}

TEST_CASE("relu_squared on Meta counts and touches nothing", "[docs]") {
  Meta::Queue queue;
  my_ops::relu_squared<bf16, Meta>(queue, {nullptr, {4, 8}}, TensorView<bf16, Meta>(nullptr, {4, 8}));
  CHECK(queue.operations == 1);
  CHECK(queue.total.flops == 64);
  CHECK(queue.total.bytes == 128);
}
// [/test]

#if ASHLAR_CUDA_EMULATED
// [test_cuda]
TEMPLATE_TEST_CASE("relu_squared on Cuda agrees with Cpu under every schedule", "[docs]", float, bf16) {
  using T = TestType;
  test::for_each_shape([](index_t rows, index_t cols, test::Layout layout) {
    TestTensor<T> x({rows, cols}), dy({rows, cols});
    x.randomise(1);
    dy.randomise(2);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          test::DeviceTensor<T, D> in(x, layout), d(dy, layout), y({rows, cols}, layout), dx({rows, cols}, layout);
          my_ops::relu_squared<T, D>(queue, in, y.view());
          my_ops::relu_squared_backward<T, D>(queue, d, in, dx.view());
          return test::Results{{y.values(), dx.values()}};
        },
        test::tolerance<T>);
  });
}
// [/test_cuda]
#endif
