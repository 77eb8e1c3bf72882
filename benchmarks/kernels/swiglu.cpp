// SwiGLU's activation at the width of Llama 3 8B.
#include "ashlar/ops/swiglu/swiglu.hpp"

#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

struct Activation {
  std::string name;
  bool backward;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0.01;
  index_t rows = 8192, cols = 14336;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Activation& c)
        : dh(memory, {c.rows, c.cols}),
          gate(memory, {c.rows, c.cols}),
          up(memory, {c.rows, c.cols}),
          h(memory, {c.rows, c.cols}),
          dup(memory, {c.rows, c.cols}) {}
    Tensor<bf16, D> dh, gate, up, h, dup;  // backward writes dgate into h
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    for (auto* tensor : {&o.dh, &o.gate, &o.up}) random.normal(*tensor);
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    if (backward)
      ops::swiglu_backward<bf16>(queue, o.dh.view(), o.gate.view(), o.up.view(), o.h.view(), o.dup.view());
    else
      ops::swiglu<bf16>(queue, o.gate.view(), o.up.view(), o.h.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 8;
    run<Cuda>(queue, o);
    auto dh = sample_rows(queue, o.dh.view(), n), gate = sample_rows(queue, o.gate.view(), n),
         up = sample_rows(queue, o.up.view(), n);
    HostMatrix<> want(n, cols), want_up(n, cols);
    Cpu::Queue host;
    if (!backward) {
      ops::swiglu<double>(host, gate.view(), up.view(), want.view());
      return deviation(sample_rows(queue, o.h.view(), n).values, want.values);
    }
    ops::swiglu_backward<double>(host, dh.view(), gate.view(), up.view(), want.view(), want_up.view());
    return std::max(deviation(sample_rows(queue, o.h.view(), n).values, want.values),
                    deviation(sample_rows(queue, o.dup.view(), n).values, want_up.values));
  }
};

}  // namespace

void measure_swiglu(Board& board) {
  board.row(Activation{"swiglu forward, 8192 x 14336", false});
  board.row(Activation{"swiglu backward, 8192 x 14336", true});
}

}  // namespace ashlar::benchmark
