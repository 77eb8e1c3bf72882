// The elementwise passes, on 2^28 elements.
#include "ashlar/ops/elementwise/elementwise.hpp"

#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

constexpr index_t count = index_t{1} << 28, row_length = 4096, at_once = 4096;
constexpr Shape as_rows{count / row_length, row_length};

struct Addition {
  std::string name = "add bf16, 2^28";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0.005;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Addition&) : a(memory, {count}), b(memory, {count}), out(memory, {count}) {}
    Tensor<bf16, D> a, b, out;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.a);
    random.normal(o.b);
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::add<bf16>(queue, o.a.view(), o.b.view(), o.out.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    auto want = sample_rows(queue, o.a.view().reshaped(as_rows), 16);
    const auto b = sample_rows(queue, o.b.view().reshaped(as_rows), 16);
    for (std::size_t i = 0; i < want.values.size(); ++i) want.values[i] += b.values[i];
    return deviation(sample_rows(queue, o.out.view().reshaped(as_rows), 16).values, want.values);
  }
};

template <class From, class To>
struct Conversion {
  std::string name;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Conversion&) : x(memory, {count}), out(memory, {count}) {}
    Tensor<From, D> x;
    Tensor<To, D> out;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const { random.normal(o.x); }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::cast<From, To>(queue, TensorView<const From, D>(o.x.view()), o.out.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    auto want = sample_rows(queue, o.x.view().reshaped(as_rows), 16);
    for (double& value : want.values) value = static_cast<double>(To(static_cast<float>(value)));
    return exactly(sample_rows(queue, o.out.view().reshaped(as_rows), 16).values, want.values);
  }
};

struct Sum {
  std::string name = "sum f32, 2^28";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 1e-6;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Sum&)
        : x(memory, {count}), total(memory, {1}), workspace(memory, {ops::sum_workspace<D>(count)}) {}
    Tensor<float, D> x;
    Tensor<double, D> total, workspace;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.fill(o.x, [](float z) { return 1 + z; });
    random.fill(o.total, [](float) { return 0.f; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::sum<float, D>(queue, TensorView<const float, D>(o.x.view()), o.total.view(), o.workspace.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    std::vector<double> got(1), want(1);
    Cuda::download(queue, got.data(), o.total.data(), sizeof(double));
    for (index_t first = 0; first < as_rows[0]; first += at_once)
      for (const double value : read_rows(queue, o.x.view().reshaped(as_rows), first, at_once).values) want[0] += value;
    return deviation(got, want);
  }
};

struct NonFinite {
  std::string name = "count_non_finite bf16, 2^28";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const NonFinite&) : x(memory, {count}), total(memory, {1}) {}
    Tensor<bf16, D> x;
    Tensor<std::int32_t, D> total;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.fill(o.x, [](float z) { return z > 4.5f ? std::numeric_limits<float>::infinity() : z; });
    random.fill(o.total, [](float) { return 0; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::count_non_finite<bf16, D>(queue, TensorView<const bf16, D>(o.x.view()), o.total.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    std::vector<std::int32_t> got(1), want(1);
    Cuda::download(queue, got.data(), o.total.data(), sizeof(std::int32_t));
    for (index_t first = 0; first < as_rows[0]; first += at_once)
      for (const double value : read_rows(queue, o.x.view().reshaped(as_rows), first, at_once).values)
        want[0] += std::isfinite(value) ? 0 : 1;
    return exactly(got, want);
  }
};

}  // namespace

void measure_elementwise(Board& board) {
  board.row(Addition{});
  board.row(Conversion<float, bf16>{"cast f32 to bf16, 2^28"});
  board.row(Conversion<bf16, float>{"cast bf16 to f32, 2^28"});
  board.row(Sum{});
  board.row(NonFinite{});
}

}  // namespace ashlar::benchmark
