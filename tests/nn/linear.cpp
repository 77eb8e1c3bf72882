#include "ashlar/nn/linear.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;

void check_linear(LinearKind kind) {
  test::Subject<E> s;
  Linear<E> linear(s.declarations, "w", 5, 7, kind, Initializer::normal(1));
  s.add_input({6, 7});
  TensorView<double, Cpu> x;
  s.forward = [&](Context<E>& c, const auto& inputs) {
    x = inputs[0];
    auto y = c.scratch<double>({6, 5});
    linear.forward<double>(c, x, y);
    return std::vector{y};
  };
  s.backward = [&](Context<E>& c, const auto& dys) {
    auto dx = c.scratch<double>({6, 7});
    auto dy = c.stable<double>(dys[0].reshaped({6, 5}));
    linear.input_gradient(c, dy, dx);
    linear.weight_gradient(c, dy, x);
    return std::vector{dx};
  };
  test::GradientLaw<E>(s).check();
}

}  // namespace

TEST_CASE("a linear's gradients") {
  check_linear(LinearKind::replicated);
  check_linear(LinearKind::column_parallel);
}

TEST_CASE("a linear's input gradient replaces or adds") {
  test::Subject<E> s;
  Linear<E> linear(s.declarations, "w", 2, 2, LinearKind::replicated, Initializer::normal(1));
  Unit<E> unit(s.declarations.take(), {}, {});
  unit.allocate(s.memory, s.queue, nullptr, nullptr);
  const double w[] = {1, 2, 3, 4};
  std::copy(w, w + 4, unit.master().data());
  Arena<Cpu> scratch(s.memory);
  Context<E> c(s.queue, scratch);
  double dy[] = {1, 10}, dx[] = {100, 100};
  linear.input_gradient(c, {dy, {1, 2}}, {dx, {1, 2}}, true);
  CHECK(dx[0] == 131);
  CHECK(dx[1] == 142);
  linear.input_gradient(c, {dy, {1, 2}}, {dx, {1, 2}});
  CHECK(dx[0] == 31);
  CHECK(dx[1] == 42);
}

TEST_CASE("a linear's weight is named, and cut over tp by its kind") {
  test::Subject<E> s;
  Declarations<E> d(s.memory, s.queue, {1, 2}, {});
  Linear<E> whole(d, "a", 4, 6, LinearKind::replicated, Initializer::normal(1));
  Linear<E> column(d, "b", 4, 6, LinearKind::column_parallel, Initializer::normal(1));
  Linear<E> row(d, "c", 4, 6, LinearKind::row_parallel, Initializer::normal(1));
  const auto entries = d.take();
  CHECK(entries[0].info.name == "a.weight");
  CHECK(entries[0].local_shape == Shape{4, 6});
  CHECK(entries[1].local_shape == Shape{2, 6});
  CHECK(entries[1].local_offset == Shape{2, 0});
  CHECK(entries[2].local_shape == Shape{4, 3});
  CHECK(entries[2].local_offset == Shape{0, 3});
}
