#include "ashlar/nn/rms_norm.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;

TensorView<double, Cpu> copy_of(Context<E>& c, TensorView<const double, Cpu> x, const Shape& shape) {
  auto y = c.scratch<double>(shape);
  std::copy_n(x.data(), x.count(), y.data());
  return y;
}

}  // namespace

TEST_CASE("an RMSNorm's gradients") {
  test::Subject<E> s;
  RmsNorm<E> norm(s.declarations, "norm", 9, 1e-3);
  RmsNorm<E>::Saved saved;
  s.add_input({4, 9});
  s.forward = [&](Context<E>& c, const auto& in) { return std::vector{norm.forward(c, in[0], saved)}; };
  s.recompute = [&](Context<E>& c) { norm.recompute(c, saved); };
  s.backward = [&](Context<E>& c, const auto& dys) {
    auto dx = c.scratch<double>({4, 9});
    std::fill_n(dx.data(), dx.count(), 0);
    norm.backward(c, dys[0].reshaped({4, 9}), saved, dx);
    return std::vector{dx};
  };
  test::GradientLaw<E>(s).check();
}

TEST_CASE("an RMSNorm's gradients with the residual addition") {
  test::Subject<E> s;
  RmsNorm<E> norm(s.declarations, "norm", 9, 1e-3);
  RmsNorm<E>::Saved saved;
  s.add_input({4, 9});
  s.add_input({4, 9});
  const auto as_output = [](TensorView<const double, Cpu> h) {
    return TensorView<double, Cpu>(const_cast<double*>(h.data()), h.shape());
  };
  s.forward = [&](Context<E>& c, const auto& in) {
    auto y = norm.forward(c, in[0], in[1], saved);
    return std::vector{y, as_output(saved.h)};
  };
  s.recompute = [&](Context<E>& c) { norm.recompute(c, saved); };
  s.backward = [&](Context<E>& c, const auto& dys) {
    auto dh = copy_of(c, dys[1], {4, 9});
    norm.backward(c, dys[0].reshaped({4, 9}), saved, dh);
    return std::vector{dh, dh};
  };
  test::GradientLaw<E>(s).check();
}

TEST_CASE("an RMSNorm made again is the same, bit by bit") {
  test::Subject<E> s;
  RmsNorm<E> norm(s.declarations, "norm", 33, 1e-5);
  Unit<E> unit(s.declarations.take(), {}, {});
  unit.allocate(s.memory, s.queue, nullptr, nullptr);
  unit.initialize(s.queue, 1);
  CHECK(unit.master().data()[32] == 1);
  s.add_input({3, 33});
  Arena<Cpu> kept(s.memory), scratch(s.memory);
  Context<E> c(s.queue, scratch);
  c.kept_arena = &kept;
  c.keep = Keep::selected;
  RmsNorm<E>::Saved saved;
  const auto first = norm.forward(c, s.inputs[0].view(), saved);
  CHECK(kept.used() == Arena<Cpu>::alignment);  // rstd alone
  c.recomputing = true;
  norm.recompute(c, saved);
  CHECK(saved.y.data() != first.data());
  CHECK(std::equal(first.data(), first.data() + first.count(), saved.y.data()));
}
