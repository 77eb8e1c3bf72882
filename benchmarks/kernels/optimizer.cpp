// What runs over all parameters once a step: AdamW and the gradient's norm, on 2^28 elements.
#include "ashlar/ops/adamw/adamw.hpp"
#include "ashlar/ops/gradient_norm/gradient_norm.hpp"
#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

constexpr index_t count = index_t{1} << 28, row_length = 4096;

/// T: the type of the copy that the model computes with; float has none.
template <class T>
struct Update {
  std::string name;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 1e-4;

  static constexpr bool has_copy = !std::is_same_v<T, float>;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Update&)
        : gradient(memory, {count}),
          parameter(memory, {count}),
          exp_avg(memory, {count}),
          exp_avg_sq(memory, {count}),
          scale(memory, {1}) {
      if (has_copy) copy = Tensor<T, D>(memory, {count});
    }
    Tensor<float, D> gradient, parameter, exp_avg, exp_avg_sq, scale;
    Tensor<T, D> copy;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.gradient, 1e-2f);
    random.normal(o.parameter, 0.02f);
    random.normal(o.exp_avg, 1e-2f);
    random.fill(o.exp_avg_sq, [](float z) { return 1e-4f * z * z + 1e-6f; });
    random.fill(o.scale, [](float) { return 0.5f; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::adamw<T>(queue, step(), o.scale.view(), o.gradient.view(), o.parameter.view(), o.exp_avg.view(),
                  o.exp_avg_sq.view(), o.copy.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    const auto rows = [&](const auto& tensor) {
      return sample_rows(queue, tensor.view().reshaped({count / row_length, row_length}), 8);
    };
    auto gradient = rows(o.gradient), parameter = rows(o.parameter), exp_avg = rows(o.exp_avg),
         exp_avg_sq = rows(o.exp_avg_sq);
    run<Cuda>(queue, o);
    HostMatrix<> scale(1, 1);
    scale.at(0, 0) = 0.5;
    Cpu::Queue host;
    ops::adamw<double, Cpu>(host, step(), scale.flat(), gradient.flat(), parameter.flat(), exp_avg.flat(),
                            exp_avg_sq.flat(), {});
    const double worst = std::max({deviation(rows(o.parameter).values, parameter.values),
                                   deviation(rows(o.exp_avg).values, exp_avg.values),
                                   deviation(rows(o.exp_avg_sq).values, exp_avg_sq.values)});
    if constexpr (has_copy) {
      auto rounded = rows(o.parameter);
      for (double& value : rounded.values) value = static_cast<double>(bf16(static_cast<float>(value)));
      return std::max(worst, exactly(rows(o.copy).values, rounded.values));
    }
    return worst;
  }
  static ops::AdamWStep step() { return {1e-4, 0.9, 0.95, 1e-8, 0.1, 1 - 0.9 * 0.9, 1 - 0.95 * 0.95}; }
};

struct SumOfSquares {
  std::string name = "gradient_norm sum of squares f32, 2^28";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 1e-6;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const SumOfSquares&)
        : x(memory, {count}), total(memory, {1}), workspace(memory, {ops::sum_of_squares_workspace<D>(count)}) {}
    Tensor<float, D> x;
    Tensor<double, D> total, workspace;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.x);
    random.fill(o.total, [](float) { return 0.f; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::sum_of_squares<float, D>(queue, TensorView<const float, D>(o.x.view()), o.total.view(), o.workspace.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    std::vector<double> got(1), want(1);
    Cuda::download(queue, got.data(), o.total.data(), sizeof(double));
    const auto x = o.x.view().reshaped({count / row_length, row_length});
    constexpr index_t at_once = 4096;
    for (index_t first = 0; first < x.rows(); first += at_once)
      for (const double value : read_rows(queue, x, first, at_once).values) want[0] += value * value;
    return deviation(got, want);
  }
};

/// From the sum to the factor that the optimizer takes: a launch over one number.
struct ClipScale {
  std::string name = "gradient_norm clip scale";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 1e-6;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const ClipScale&) : sum(memory, {1}), norm_and_scale(memory, {3}) {}
    Tensor<double, D> sum;
    Tensor<float, D> norm_and_scale;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.fill(o.sum, [](float z) { return 4 + z * z; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::clip_scale<float, D>(queue, o.sum.view(), 1.0, o.norm_and_scale.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    auto sum = read_all(queue, o.sum.view().reshaped({1, 1}));
    HostMatrix<> norm_and_scale(1, 3);
    Cpu::Queue host;
    ops::clip_scale<double, Cpu>(host, sum.flat(), 1.0, norm_and_scale.flat());
    return deviation(read_all(queue, o.norm_and_scale.view().reshaped({1, 3})).values, norm_and_scale.values);
  }
};

}  // namespace

void measure_optimizer(Board& board) {
  board.row(Update<float>{"adamw f32, 2^28"});
  board.row(Update<bf16>{"adamw f32 with bf16 copy, 2^28"});
  board.row(SumOfSquares{});
  board.row(ClipScale{});
}

}  // namespace ashlar::benchmark
