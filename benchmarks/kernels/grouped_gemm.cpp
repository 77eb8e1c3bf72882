// Grouped GEMM with its gradients, at sizes of mixture-of-experts layers: groups of many rows, of few (where the
// weights stream by, and the copy is the ceiling), and of unequal ones; and one product of as many operations beside
// each.
#include "ashlar/ops/grouped_gemm/grouped_gemm.hpp"

#include <cmath>
#include <numeric>
#include <random>

#include "ashlar/ops/matmul/matmul.hpp"
#include "ashlar/ops/swiglu/swiglu.hpp"
#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

enum class Factor { output, input_gradient, weight_gradient, added_weight_gradient };

using GroupRows = std::vector<index_t>;

constexpr bool of_weights(Factor f) {
  return f >= Factor::weight_gradient;
}

struct Experts {
  std::string name;
  Factor factor;
  GroupRows group_rows;
  index_t n, k;  // w [groups, n, k]
  Ceiling ceiling = Ceiling::bf16;
  double tolerance = 0.01;

  index_t groups() const { return static_cast<index_t>(group_rows.size()); }
  index_t rows() const { return std::accumulate(group_rows.begin(), group_rows.end(), index_t{0}); }
  index_t begin(index_t group) const {
    return std::accumulate(group_rows.begin(), group_rows.begin() + group, index_t{0});
  }

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Experts& e)
        : x(memory, {e.rows(), e.k}), y(memory, {e.rows(), e.n}), offsets(memory, {e.groups() + 1}) {
      // The gradient of w is float; a product needs only one of the two.
      if (of_weights(e.factor))
        dw = Tensor<float, D>(memory, {e.groups(), e.n, e.k});
      else
        w = Tensor<bf16, D>(memory, {e.groups(), e.n, e.k});
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
    index_t group = 0;
    random.fill(o.offsets, [&](float) { return static_cast<std::int32_t>(begin(group++)); });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    if (factor == Factor::output)
      ops::grouped_gemm<bf16>(queue, o.x.view(), o.w.view(), o.offsets.view(), o.y.view());
    else if (factor == Factor::input_gradient)
      ops::grouped_gemm_input_gradient<bf16>(queue, o.y.view(), o.w.view(), o.offsets.view(), o.x.view(), false);
    else
      ops::grouped_gemm_weight_gradient<bf16>(queue, o.y.view(), o.x.view(), o.offsets.view(), o.dw.view(),
                                              factor == Factor::added_weight_gradient);
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t samples = 16;
    run<Cuda>(queue, o);
    std::vector<double> got, want;
    for (index_t s = 0; s < samples; ++s) {
      const index_t group = spread((s * 5) % samples, samples, groups()),
                    of_group = group_rows[static_cast<std::size_t>(group)],
                    row = begin(group) + spread(s, samples, of_group), i = spread((s * 7) % samples, samples, n),
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
        a = read(queue, o.y.view(), begin(group), of_group, i, 1);
        b = read(queue, o.x.view(), begin(group), of_group, j, 1);
        got.push_back(read(queue, o.dw.view(), group * n + i, 1, j, 1).values[0]);
      }
      double sum = 0;
      for (std::size_t c = 0; c < a.values.size(); ++c) sum += a.values[c] * b.values[c];
      want.push_back(sum);
    }
    return deviation(got, want);
  }
};

/// y = x w^T by cuBLASLt: the operations of a grouped product with one group.
struct Dense {
  std::string name;
  index_t rows, n, k;
  Ceiling ceiling = Ceiling::bf16;
  double tolerance = 0.01;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Dense& d)
        : x(memory, {d.rows, d.k}), w(memory, {d.n, d.k}), y(memory, {d.rows, d.n}) {}
    Tensor<bf16, D> x, w, y;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.x);
    random.normal(o.w);
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::matmul<bf16>(queue, o.x.view(), ops::Transpose::no, o.w.view(), ops::Transpose::yes, o.y.view(), 0.0);
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    const auto a = read_rows(queue, o.x.view(), rows - 1, 1), b = read_rows(queue, o.w.view(), n - 1, 1);
    double sum = 0;
    for (std::size_t c = 0; c < a.values.size(); ++c) sum += a.values[c] * b.values[c];
    return deviation(read(queue, o.y.view(), rows - 1, 1, n - 1, 1).values, {sum});
  }
};

/// Groups as unequal as a router makes them: log-normal, 0.7 wide.
GroupRows unequal(index_t groups, index_t rows) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0, 0.7);
  std::vector<double> share(static_cast<std::size_t>(groups));
  for (double& x : share) x = std::exp(normal(random));
  const double total = std::accumulate(share.begin(), share.end(), 0.0);
  GroupRows out;
  for (const double x : share) out.push_back(static_cast<index_t>(static_cast<double>(rows) * x / total));
  out.front() += rows - std::accumulate(out.begin(), out.end(), index_t{0});
  return out;
}

}  // namespace

void measure_grouped_gemm(Board& board) {
  const auto rows = [&](const std::string& size, const GroupRows& groups, index_t n, index_t k) {
    const index_t all = std::accumulate(groups.begin(), groups.end(), index_t{0});
    // With few rows a group, all that counts is how fast the weights come.
    const Ceiling ceiling = all <= 160 * static_cast<index_t>(groups.size()) ? Ceiling::copy : Ceiling::bf16;
    const std::string sizes = size + concat(", ", n, " x ", k);
    board.row(Experts{"grouped_gemm, " + sizes, Factor::output, groups, n, k, ceiling});
    board.row(Experts{"grouped_gemm input gradient, " + sizes, Factor::input_gradient, groups, n, k, ceiling});
    if (static_cast<index_t>(groups.size()) * n * k < index_t{1} << 32) {
      board.row(Experts{"grouped_gemm weight gradient, " + sizes, Factor::weight_gradient, groups, n, k, ceiling});
      board.row(Experts{"grouped_gemm weight gradient added, " + sizes, Factor::added_weight_gradient, groups, n, k,
                        ceiling});
    }
    if (ceiling == Ceiling::bf16) board.row(Dense{"one product, " + sizes, all, n, k});
  };
  rows("8 x 4096 rows", GroupRows(8, 4096), 4096, 7168);
  rows("8 x 4096 rows", GroupRows(8, 4096), 7168, 2048);
  rows("64 x 1024 rows", GroupRows(64, 1024), 2816, 2048);
  rows("64 x 1024 rows", GroupRows(64, 1024), 2048, 1408);
  rows("128 x 512 rows", GroupRows(128, 512), 1536, 2048);
  rows("128 x 512 rows", GroupRows(128, 512), 2048, 768);
  rows("128 unequal groups", unequal(128, 65536), 1536, 2048);
  rows("128 x 64 rows", GroupRows(128, 64), 1536, 2048);
  rows("256 x 128 rows", GroupRows(256, 128), 4096, 7168);
}

}  // namespace ashlar::benchmark
