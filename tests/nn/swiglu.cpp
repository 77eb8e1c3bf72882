#include "ashlar/nn/swiglu.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;

}  // namespace

TEST_CASE("a SwiGLU feed-forward's gradients") {
  test::Subject<E> s;
  SwiGluFeedForward<E> ffn(s.declarations, 6, 10, 0.02);
  SwiGluFeedForward<E>::Saved saved;
  s.add_input({5, 6});
  s.sequences.count = 1;
  s.sequences.len = 5;
  s.forward = [&](Context<E>& c, const auto& in) { return std::vector{ffn.forward(c, in[0], saved)}; };
  s.recompute = [&](Context<E>& c) { ffn.recompute(c, saved); };
  s.backward = [&](Context<E>& c, const auto& dys) {
    return std::vector{ffn.backward(c, dys[0].reshaped({5, 6}), saved)};
  };
  test::GradientLaw<E>(s).check();
}

TEST_CASE("a SwiGLU feed-forward by hand") {
  test::Subject<E> s;
  SwiGluFeedForward<E> ffn(s.declarations, 1, 1, 0.02);
  Unit<E> unit(s.declarations.take(), {}, {});
  unit.allocate(s.memory, s.queue, nullptr, nullptr);
  for (const auto& e : unit.layout().entries())
    unit.master().data()[e.begin] = e.info.name == "w1.weight" ? 2 : e.info.name == "w2.weight" ? 3 : 5;
  double x[] = {0.5};
  Arena<Cpu> scratch(s.memory);
  Context<E> c(s.queue, scratch);
  SwiGluFeedForward<E>::Saved saved;
  CHECK(ffn.forward(c, {x, {1, 1}}, saved).data()[0] == Approx(3 / (1 + std::exp(-1.0)) * 2.5).epsilon(1e-14));
}
