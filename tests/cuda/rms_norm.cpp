#include "ashlar/ops/rms_norm/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

template <class T>
struct Case {
  TestTensor<T> x, residual, weight, dy, dx;
  TestTensor<Acc<T>> dweight;

  Case(index_t rows, index_t cols)
      : x({rows, cols}), residual({rows, cols}), weight({cols}), dy({rows, cols}), dx({rows, cols}), dweight({cols}) {
    x.randomise(1, 3);
    residual.randomise(2);
    weight.randomise(3);
    dy.randomise(4);
    dx.randomise(5);
    dweight.randomise(6);
  }

  Results forward(auto device, Layout layout) const {
    using D = decltype(device);
    auto& queue = test::queue<D>();
    DeviceTensor<T, D> dev_x(x, layout), w(weight, {layout.offset, 0}), y(x.shape(), layout);
    DeviceTensor<Acc<T>, D> rstd({x.rows()});
    ops::rms_norm<T, D>(queue, dev_x, {}, w, 1e-5, {}, y, rstd);
    return {{y.values(), rstd.values()}};
  }
  /// With h in the place of x, of the residual, or of neither.
  Results forward_residual(auto device, Layout layout, int place) const {
    using D = decltype(device);
    auto& queue = test::queue<D>();
    DeviceTensor<T, D> dev_x(x, layout), r(residual, layout), w(weight, {layout.offset, 0}), y(x.shape(), layout);
    DeviceTensor<T, D> own_h(x.shape(), layout);
    DeviceTensor<T, D>& h = place == 0 ? own_h : place == 1 ? dev_x : r;
    DeviceTensor<Acc<T>, D> rstd({x.rows()});
    ops::rms_norm<T, D>(queue, dev_x, r, w, 1e-5, h, y, rstd);
    return {{h.values(), y.values(), rstd.values()}};
  }
  Results backward(auto device, Layout layout, bool accumulate, bool in_place) const {
    using D = decltype(device);
    auto& queue = test::queue<D>();
    DeviceTensor<T, D> h(x, layout), w(weight, {layout.offset, 0}), y(x.shape(), layout), dev_dy(dy, layout);
    DeviceTensor<T, D> unwritten(x.shape(), layout), given(dx, layout);
    DeviceTensor<T, D>& target = in_place ? dev_dy : accumulate ? given : unwritten;
    DeviceTensor<Acc<T>, D> rstd({x.rows()}), dw(dweight),
        workspace({ops::rms_norm_backward_workspace<D>(x.rows(), x.cols())});
    ops::rms_norm<T, D>(queue, h, {}, w, 1e-5, {}, y, rstd);
    DeviceTensor<T, D> frozen(accumulate ? dx : x, layout);  // without a gradient of the weight
    ops::rms_norm_backward<T, D>(queue, dev_dy, h, w, rstd, frozen, accumulate, {}, {});
    ops::rms_norm_backward<T, D>(queue, dev_dy, h, w, rstd, target, accumulate, dw, workspace);
    return {{target.values(), dw.values(), frozen.values()}};
  }
};

}  // namespace

TEMPLATE_TEST_CASE("rms_norm on Cuda agrees with Cpu", "[rms_norm]", float, double, bf16) {
  using T = TestType;
  for (index_t rows : {0, 1, 33, 131})
    for (index_t cols : {1, 7, 64, 65, 300, 1100}) {
      if (rows * cols > 40000) continue;
      const Case<T> c(rows, cols);
      const Layout layout = test::layouts[(rows + cols) % 3];
      CAPTURE(rows, cols, layout.offset);
      test::agrees_with_cpu([&](auto device) { return c.forward(device, layout); }, test::tolerance<T>);
      const int place = static_cast<int>(cols % 3);
      test::agrees_with_cpu([&](auto device) { return c.forward_residual(device, layout, place); }, test::tolerance<T>);
    }
}

TEMPLATE_TEST_CASE("rms_norm_backward on Cuda agrees with Cpu", "[rms_norm]", float, double, bf16) {
  using T = TestType;
  for (index_t rows : {0, 1, 33, 131})
    for (index_t cols : {1, 7, 64, 65, 300, 1100}) {
      if (rows * cols > 40000) continue;
      const Case<T> c(rows, cols);
      const Layout layout = test::layouts[(rows + cols) % 3];
      const bool accumulate = cols % 2 == 0, in_place = !accumulate && rows % 2;
      CAPTURE(rows, cols, layout.offset, accumulate, in_place);
      test::agrees_with_cpu([&](auto device) { return c.backward(device, layout, accumulate, in_place); },
                            4 * test::tolerance<T>, 1);
    }
}

// Blocks of more rows than they work on at a time; rows of more columns than whose gradients a block has room for.
TEST_CASE("rms_norm_backward on Cuda agrees with Cpu: many rows, long rows", "[rms_norm]") {
  for (const auto& [rows, cols] : {std::pair<index_t, index_t>{4999, 5}, {3, 8200}, {9, 1025}}) {
    const Case<bf16> c(rows, cols);
    CAPTURE(rows, cols);
    test::agrees_with_cpu([&](auto device) { return c.backward(device, {}, true, false); }, 4 * test::tolerance<bf16>,
                          1);
  }
}

TEMPLATE_TEST_CASE("rms_norm on Cuda agrees with Cpu: heads, as many short rows", "[rms_norm]", float, bf16) {
  for (const index_t head_dim : {16, 20}) {  // 150 tokens, 4 heads
    const Case<TestType> c(150 * 4, head_dim);
    test::agrees_with_cpu([&](auto device) { return c.forward(device, {}); }, test::tolerance<TestType>);
    test::agrees_with_cpu([&](auto device) { return c.backward(device, {}, false, false); },
                          4 * test::tolerance<TestType>, 1);
  }
}

TEST_CASE("rms_norm on Cuda survives squares that overflow", "[rms_norm]") {
  Case<float> c(3, 65);
  for (index_t i = 0; i < 65; ++i) c.x.at(1, i) = 1e30f;
  for (index_t i = 0; i < 65; ++i) c.x.at(2, i) = 0;
  test::agrees_with_cpu([&](auto device) { return c.forward(device, {}); }, test::tolerance<float>);
}
