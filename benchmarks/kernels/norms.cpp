// RMSNorm and the rotary embedding at the width of Llama 3 8B.
#include "ashlar/ops/rms_norm/rms_norm.hpp"
#include "ashlar/ops/rope/rope.hpp"
#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

enum class Pass { forward, with_residual, backward };

struct Norm {
  std::string name;
  Pass pass;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0.02;  // with a residual, h is rounded before it is normed
  index_t rows = 32768, cols = 4096;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Norm& c)
        : x(memory, {c.rows, c.cols}),
          residual(memory, {c.rows, c.cols}),
          h(memory, {c.rows, c.cols}),
          y(memory, {c.rows, c.cols}),
          weight(memory, {c.cols}),
          rstd(memory, {c.rows}),
          dweight(memory, {c.cols}),
          workspace(memory, {ops::rms_norm_backward_workspace<D>(c.rows, c.cols)}) {}
    Tensor<bf16, D> x, residual, h, y, weight;  // backward: x is dy, residual is h, y is dx
    Tensor<float, D> rstd, dweight, workspace;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.x);
    random.normal(o.residual);
    random.fill(o.weight, [](float z) { return 1 + 0.1f * z; });
    random.fill(o.rstd, [](float z) { return 1 + 0.1f * z; });
    random.fill(o.dweight, [](float) { return 0.f; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    if (pass == Pass::backward)
      ops::rms_norm_backward<bf16>(queue, o.x.view(), o.residual.view(), o.weight.view(), o.rstd.view(), o.y.view(),
                                   false, o.dweight.view(), o.workspace.view());
    else if (pass == Pass::with_residual)
      ops::rms_norm<bf16>(queue, o.x.view(), o.residual.view(), o.weight.view(), eps, o.h.view(), o.y.view(),
                          o.rstd.view());
    else
      ops::rms_norm<bf16>(queue, o.x.view(), {}, o.weight.view(), eps, {}, o.y.view(), o.rstd.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 16;
    run<Cuda>(queue, o);
    auto x = sample_rows(queue, o.x.view(), n), residual = sample_rows(queue, o.residual.view(), n);
    auto weight = read_all(queue, o.weight.view().reshaped({1, cols}));
    auto rstd = sample_rows(queue, o.rstd.view().reshaped({rows, 1}), n);
    HostMatrix<> h(n, cols), y(n, cols), want_rstd(n, 1), dweight(1, cols);
    Cpu::Queue host;
    const auto got = sample_rows(queue, o.y.view(), n);
    if (pass == Pass::backward) {
      ops::rms_norm_backward<double>(host, x.view(), residual.view(), weight.flat(), rstd.flat(), y.view(), false,
                                     dweight.flat(), {});
      return std::max(deviation(got.values, y.values), weight_gradient_error(queue, o));
    }
    if (pass == Pass::with_residual)
      ops::rms_norm<double>(host, x.view(), residual.view(), weight.flat(), eps, h.view(), y.view(), want_rstd.flat());
    else
      ops::rms_norm<double>(host, x.view(), {}, weight.flat(), eps, {}, y.view(), want_rstd.flat());
    return std::max(deviation(got.values, y.values), deviation(rstd.values, want_rstd.values));
  }
  /// Of a few columns, over all rows.
  double weight_gradient_error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 8;
    const index_t first = cols / 2;
    const auto dy = read(queue, o.x.view(), 0, rows, first, n), h = read(queue, o.residual.view(), 0, rows, first, n);
    const auto rstd = read_all(queue, o.rstd.view().reshaped({rows, 1}));
    HostMatrix<> want(1, n);
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < n; ++j) want.at(0, j) += dy.at(i, j) * h.at(i, j) * rstd.at(i, 0);
    return deviation(read(queue, o.dweight.view().reshaped({1, cols}), 0, 1, first, n).values, want.values);
  }

  static constexpr double eps = 1e-5;
};

struct Rotation {
  std::string name;
  ops::Direction direction;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0.01;
  index_t rows = 32768, seq_len = 8192, heads = 32, head_dim = 128;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Rotation& c)
        : x(memory, {c.rows, c.heads * c.head_dim}), table(memory, {c.seq_len, c.head_dim}) {}
    Tensor<bf16, D> x;
    Tensor<float, D> table;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.x);
    // Pairs (cos, sin) of random angles: rows of x keep their length, however often they turn.
    bool sine = false;
    float angle = 0;
    random.fill(o.table, [&](float z) {
      if (!sine) angle = 3 * z;
      sine = !sine;
      return sine ? std::cos(angle) : std::sin(angle);
    });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::rope<bf16, D>(queue, o.x.view(), {heads, head_dim, 0, head_dim}, {seq_len}, o.table.view(), direction);
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 8;
    std::vector<HostMatrix<>> want;
    for (index_t i = 0; i < n; ++i) want.push_back(read_rows(queue, o.x.view(), spread(i, n, rows), 1));
    run<Cuda>(queue, o);
    Cpu::Queue host;
    double worst = 0;
    for (index_t i = 0; i < n; ++i) {
      const index_t row = spread(i, n, rows);
      auto turn = read_rows(queue, o.table.view(), row % seq_len, 1);
      ops::rope<double, Cpu>(host, want[static_cast<std::size_t>(i)].view(), {heads, head_dim, 0, head_dim}, {1},
                             turn.view(), direction);
      worst = std::max(
          worst, deviation(read_rows(queue, o.x.view(), row, 1).values, want[static_cast<std::size_t>(i)].values));
    }
    return worst;
  }
};

}  // namespace

void measure_norms(Board& board) {
  board.row(Norm{"rms_norm forward, 32768 x 4096", Pass::forward});
  board.row(Norm{"rms_norm forward with residual, 32768 x 4096", Pass::with_residual});
  board.row(Norm{"rms_norm backward, 32768 x 4096", Pass::backward});
  board.row(Rotation{"rope forward, 32768 x 32 x 128", ops::Direction::forward});
  board.row(Rotation{"rope backward, 32768 x 32 x 128", ops::Direction::backward});
}

}  // namespace ashlar::benchmark
