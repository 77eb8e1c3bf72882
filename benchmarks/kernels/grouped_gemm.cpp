// Grouped GEMM at three sizes of group, with its gradients.
#include "ashlar/ops/grouped_gemm/grouped_gemm.hpp"

#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

enum class Factor { output, input_gradient, weight_gradient };

struct Experts {
  std::string name;
  Factor factor;
  index_t groups, rows_each, n, k;  // w [groups, n, k]
  Ceiling ceiling = Ceiling::bf16;
  double tolerance = 0.01;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Experts& e)
        : x(memory, {e.groups * e.rows_each, e.k}),
          y(memory, {e.groups * e.rows_each, e.n}),
          offsets(memory, {e.groups + 1}) {
      // The gradient of w is float; a product needs only one of the two.
      if (e.factor == Factor::weight_gradient)
        dw = Tensor<float, D>(memory, {e.groups, e.n, e.k});
      else
        w = Tensor<bf16, D>(memory, {e.groups, e.n, e.k});
    }
    Tensor<bf16, D> x, y, w;  // x and y stand for their gradients too
    Tensor<float, D> dw;
    Tensor<std::int32_t, D> offsets;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.x);
    random.normal(o.y);
    if (o.w) random.normal(o.w);
    if (o.dw) random.fill(o.dw, [](float) { return 0.f; });
    std::int32_t group = 0;
    random.fill(o.offsets, [&](float) { return group++ * static_cast<std::int32_t>(rows_each); });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    switch (factor) {
      case Factor::output: ops::grouped_gemm<bf16>(queue, o.x.view(), o.w.view(), o.offsets.view(), o.y.view()); break;
      case Factor::input_gradient:
        ops::grouped_gemm_input_gradient<bf16>(queue, o.y.view(), o.w.view(), o.offsets.view(), o.x.view(), false);
        break;
      case Factor::weight_gradient:
        ops::grouped_gemm_weight_gradient<bf16>(queue, o.y.view(), o.x.view(), o.offsets.view(), o.dw.view());
        break;
    }
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t samples = 16;
    run<Cuda>(queue, o);
    std::vector<double> got, want;
    for (index_t s = 0; s < samples; ++s) {
      const index_t group = spread((s * 5) % samples, samples, groups),
                    row = group * rows_each + spread(s, samples, rows_each), i = spread((s * 7) % samples, samples, n),
                    j = spread((s * 3) % samples, samples, k);
      HostMatrix<> a(0, 0), b(0, 0);
      if (factor == Factor::output) {
        a = read_rows(queue, o.x.view(), row, 1);
        b = read_rows(queue, o.w.view(), group * n + i, 1);
        got.push_back(read(queue, o.y.view(), row, 1, i, 1).values[0]);
      } else if (factor == Factor::input_gradient) {
        a = read_rows(queue, o.y.view(), row, 1);
        b = read(queue, o.w.view(), group * n, n, j, 1);
        got.push_back(read(queue, o.x.view(), row, 1, j, 1).values[0]);
      } else {
        a = read(queue, o.y.view(), group * rows_each, rows_each, i, 1);
        b = read(queue, o.x.view(), group * rows_each, rows_each, j, 1);
        got.push_back(read(queue, o.dw.view(), group * n + i, 1, j, 1).values[0]);
      }
      double sum = 0;
      for (std::size_t c = 0; c < a.values.size(); ++c) sum += a.values[c] * b.values[c];
      want.push_back(sum);
    }
    return deviation(got, want);
  }
};

}  // namespace

void measure_grouped_gemm(Board& board) {
  const auto rows = [&](const std::string& size, index_t groups, index_t rows_each, index_t n, index_t k) {
    board.row(Experts{"grouped_gemm, " + size, Factor::output, groups, rows_each, n, k});
    board.row(Experts{"grouped_gemm input gradient, " + size, Factor::input_gradient, groups, rows_each, n, k});
    board.row(Experts{"grouped_gemm weight gradient, " + size, Factor::weight_gradient, groups, rows_each, n, k});
  };
  rows("8 x 4096 rows, 4096 x 7168", 8, 4096, 4096, 7168);
  rows("128 x 512 rows, 1536 x 2048", 128, 512, 1536, 2048);
  rows("128 x 64 rows, 1536 x 2048", 128, 64, 1536, 2048);
}

}  // namespace ashlar::benchmark
