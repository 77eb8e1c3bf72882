#include "ashlar/ops/muon/cuda.cuh"

#include "ashlar/ops/gradient_norm/cuda.cuh"
#include "ashlar/ops/matmul/cuda.cuh"
#include "ashlar/ops/muon/newton_schulz.hpp"
#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

TEMPLATE_TEST_CASE("momentum and descend on Cuda agree with Cpu, and do nothing where the scale isn't finite", "[muon]",
                   float, double, bf16) {
  using T = TestType;
  using A = Acc<T>;
  for (const A factor : {A(0.5), std::numeric_limits<A>::quiet_NaN(), std::numeric_limits<A>::infinity()})
    for (const index_t n : {0, 1, 255, 257, 1000})
      for (const bool nesterov : {false, true}) {
        CAPTURE(n, nesterov, double(factor));
        const auto run = [&](auto device) -> Results {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          TestTensor<A> g({n}), b({n}), p({n}), s({1}, {factor});
          TestTensor<T> d({40, 33}), c({n});
          g.randomise(1);
          b.randomise(2);
          p.randomise(3);
          d.randomise(4);
          c.randomise(5);
          const Layout odd{1, 0};
          DeviceTensor<A, D> gradient(g, odd), buffer(b, odd), parameter(p, odd), scale(s);
          DeviceTensor<T, D> direction({n}), steps(d, {1, 3}), copy(c, odd);
          ops::momentum<T, D>(queue, {0.9, nesterov}, scale, gradient, buffer, direction.view());
          ops::descend<T, D>(queue, {0.1, 0.5, 0.3}, scale, steps, 17, parameter, copy.view());
          if (nesterov) ops::descend<T, D>(queue, {0.1, 0.5, 0.3}, scale, steps, 0, parameter, TensorView<T, D>());
          return {{buffer.values(), direction.values(), parameter.values(), copy.values()}};
        };
        test::agrees_with_cpu(run, test::tolerance<T>);
      }
}

TEMPLATE_TEST_CASE("a matrix made orthogonal on Cuda agrees with Cpu", "[muon]", float, double, bf16) {
  using T = TestType;
  for (const auto& [rows, cols] : std::vector<std::pair<index_t, index_t>>{{1, 1}, {5, 5}, {3, 17}, {17, 3}, {16, 8}}) {
    CAPTURE(rows, cols);
    const auto run = [&](auto device) -> Results {
      using D = decltype(device);
      auto& queue = test::queue<D>();
      TestTensor<T> m({rows, cols});
      m.randomise(1);
      DeviceTensor<T, D> x(m), out({rows, cols});
      DeviceTensor<double, D> sum(TestTensor<double>({1}, {0.0})),
          workspace({ops::sum_of_squares_workspace<D>(rows * cols)});
      const auto n = ops::newton_schulz_workspace(rows, cols);
      DeviceTensor<Acc<T>, D> product({n.product});
      DeviceTensor<T, D> gram({n.gram}), polynomial({n.gram});
      ops::sum_of_squares<T>(queue, TensorView<const T, D>(x.view()), sum.view(), workspace.view());
      ops::normalize<T, D>(queue, x, sum, 1e-7, out.view());
      ops::newton_schulz<T, D>(queue, out.view(), 5, product, gram, polynomial);
      return {{sum.values(), out.values()}};
    };
    // Roundings of the products grow with the quintic's slope.
    test::agrees_with_cpu(run, 20 * test::tolerance<T>, 1);
  }
}
