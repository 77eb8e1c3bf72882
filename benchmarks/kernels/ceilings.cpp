// The copy on the device and cuBLASLt's products: what all other rows are held against, and the two products of a
// linear layer's backward beside them.
#include "ashlar/ops/matmul/matmul.hpp"
#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

struct Copy {
  std::string name = "copy, 1 GiB";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0;
  index_t count = index_t{1} << 28;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Copy& c) : from(memory, {c.count}), to(memory, {c.count}) {}
    Tensor<float, D> from, to;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const { random.normal(o.from); }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    if constexpr (std::is_same_v<D, Meta>)
      queue.count(0, o.from.view(), o.to.view());
    else
      D::copy(queue, o.to.data(), o.from.data(), o.from.bytes());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    const Shape rows{count / 4096, 4096};
    return exactly(sample_rows(queue, o.to.view().reshaped(rows), 16).values,
                   sample_rows(queue, o.from.view().reshaped(rows), 16).values);
  }
};

enum class Factor { output, input_gradient, weight_gradient };

/// A linear layer's three products, of square matrices: y = x w^T, dx = dy w, dw += dy^T x.
template <class T, class C>
struct Product {
  std::string name;
  Factor factor;
  Ceiling ceiling = std::is_same_v<T, float> ? Ceiling::f32 : Ceiling::bf16;
  double tolerance = std::is_same_v<C, float> ? 1e-4 : 0.01;
  index_t n = 8192;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Product& p)
        : a(memory, {p.n, p.n}), b(memory, {p.n, p.n}), c(memory, {p.n, p.n}) {}
    Tensor<T, D> a, b;
    Tensor<C, D> c;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.a);
    random.normal(o.b);
    random.fill(o.c, [](float) { return 0.f; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    using ops::Transpose;
    ops::matmul<T>(queue, o.a.view(), factor == Factor::weight_gradient ? Transpose::yes : Transpose::no, o.b.view(),
                   factor == Factor::output ? Transpose::yes : Transpose::no, o.c.view(),
                   factor == Factor::weight_gradient ? 1.0 : 0.0);
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t samples = 16;
    run<Cuda>(queue, o);
    std::vector<double> got, want;
    for (index_t s = 0; s < samples; ++s) {
      const index_t i = spread(s, samples, n), j = spread((s * 7) % samples, samples, n);
      const auto a =
          factor == Factor::weight_gradient ? read(queue, o.a.view(), 0, n, i, 1) : read_rows(queue, o.a.view(), i, 1);
      const auto b =
          factor == Factor::output ? read_rows(queue, o.b.view(), j, 1) : read(queue, o.b.view(), 0, n, j, 1);
      double sum = 0;
      for (std::size_t k = 0; k < a.values.size(); ++k) sum += a.values[k] * b.values[k];
      want.push_back(sum);
      got.push_back(read(queue, o.c.view(), i, 1, j, 1).values[0]);
    }
    return deviation(got, want);
  }
};

}  // namespace

void measure_ceilings(Board& board, Ceilings& ceilings) {
  const auto set = [&](Ceiling which, double rate) { ceilings.rate[static_cast<int>(which)] = rate; };
  set(Ceiling::copy, board.row(Copy{}));
  set(Ceiling::bf16, board.row(Product<bf16, bf16>{"matmul bf16, 8192^3", Factor::output}));
  set(Ceiling::f32, board.row(Product<float, float>{"matmul f32, 8192^3", Factor::output}));
  board.row(Product<bf16, bf16>{"matmul bf16 input gradient, 8192^3", Factor::input_gradient});
  board.row(Product<bf16, float>{"matmul bf16 weight gradient into f32, 8192^3", Factor::weight_gradient});
}

}  // namespace ashlar::benchmark
