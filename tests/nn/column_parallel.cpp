#include "ashlar/nn/column_parallel.hpp"

#include <mutex>

#include "ashlar/comm/local.hpp"
#include "ashlar/nn/row_parallel.hpp"
#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

template <Strategies S>
using E = Environment<Cpu, double, S>;

constexpr index_t rows = 6, in = 5, outs[] = {4, 2}, out = 3;

/// z = W3 (y_0 + [y_1, y_1]) of the products y of one input: both kinds, one behind the other.
template <class Env>
struct TwoAndOne {
  using View = typename Env::View;
  using ConstView = typename Env::ConstView;

  explicit TwoAndOne(Declarations<Env> d)
      : columns(d, in, {{{"w1", outs[0]}, {"w2", outs[1], Initializer::normal(1), LinearKind::replicated}}}),
        row(d, "w3", out, outs[0], 0.5) {}

  View forward(Context<Env>& c, ConstView x) {
    View z = c.scratch({x.rows(), out});
    y[0] = c.kept({all_rows(c, x), columns.out_dim(0)});
    y[1] = c.kept({all_rows(c, x), outs[1]});
    columns.forward(c, x, y, saved);
    for (index_t r = 0; r < y[0].rows(); ++r)
      for (index_t i = 0; i < y[0].cols(); ++i)
        y[0].data()[r * y[0].cols() + i] += y[1].data()[r * outs[1] + i % outs[1]];
    row.forward(c, y[0], z);
    return z;
  }
  View backward(Context<Env>& c, ConstView dz) {
    View dx = c.scratch({dz.rows(), in});
    View d0 = c.operand(y[0].shape()), d1 = c.operand(y[1].shape());
    row.backward(c, dz, y[0], d0);
    std::fill_n(d1.data(), d1.count(), 0.0);
    for (index_t r = 0; r < d0.rows(); ++r)
      for (index_t i = 0; i < d0.cols(); ++i) d1.data()[r * outs[1] + i % outs[1]] += d0.data()[r * d0.cols() + i];
    columns.backward(c, {d0, d1}, saved, dx);
    return dx;
  }

  ColumnParallel<Env, 2> columns;
  RowParallel<Env> row;
  std::array<View, 2> y;
  typename ColumnParallel<Env, 2>::Saved saved;
};

// What rank `rank` of `ranks` computes of the same input, weights and gradient: the rows of z and dx that it has, and
// the gradients of the weights that it has, by name, summed over tp where they are partial there.
struct Part {
  std::vector<double> z, dx;
  std::map<std::string, std::pair<index_t, std::vector<double>>> gradients;  // where the part begins: row, or column
};
Part on_rank(Communicator world, bool deferred) {
  using Env = E<tp>;
  const index_t part = rows / world.size();
  Memory<Cpu> memory;
  Cpu::Queue queue;
  Declarations<Env> d(memory, queue, {world.rank(), world.size()}, {});
  TwoAndOne<Env> module(d);
  UnitGroups groups;
  groups.tensor = world;
  Unit<Env> unit(d.take(), groups, {});
  unit.allocate(memory, queue, nullptr, nullptr);
  unit.initialize(queue, 3);
  unit.begin_step(queue);
  Arena<Cpu> kept(memory), scratch(memory);
  Context<Env> c(queue, scratch);
  DeferredGradients later;
  c.tensor_parallel = world;
  c.kept_arena = &kept;
  if (deferred) c.deferred = &later;
  std::vector<double> x(rows * in), dz(rows * out);
  test::Subject<Env>::fill(x.data(), rows * in, 1, 1);
  test::Subject<Env>::fill(dz.data(), rows * out, 2, 1);
  Part p;
  const auto z = module.forward(c, {x.data() + world.rank() * part * in, {part, in}});
  p.z.assign(z.data(), z.data() + z.count());
  const auto dx = module.backward(c, {dz.data() + world.rank() * part * out, {part, out}});
  p.dx.assign(dx.data(), dx.data() + dx.count());
  std::fill(dz.begin(), dz.end(), NAN);
  later.run();
  unit.finish();
  for (const auto& e : unit.layout().entries()) {
    const double* g = unit.gradient().data() + e.begin;
    p.gradients[e.info.name] = {e.local_offset[0] + e.local_offset[1], {g, g + e.local_shape.count()}};
  }
  return p;
}

}  // namespace

TEST_CASE("gradients of products of one input, and of the sum behind them") {
  using Env = E<single>;
  test::Subject<Env> s;
  TwoAndOne<Env> module(s.declarations);
  s.add_input({rows, in});
  TensorView<const double, Cpu> x;
  s.forward = [&](Context<Env>& c, const auto& inputs) { return std::vector{module.forward(c, x = inputs[0])}; };
  s.recompute = [&](Context<Env>& c) { module.columns.recompute(c, x, module.saved); };
  s.backward = [&](Context<Env>& c, const auto& dys) {
    return std::vector{module.backward(c, dys[0].reshaped({rows, out}))};
  };
  test::GradientLaw<Env>(s).check();
}

TEST_CASE("over tp: each rank has its rows of input and output, and its part of each weight") {
  const Part whole = on_rank({}, false);
  for (const bool deferred : {false, true}) {
    CAPTURE(deferred);
    std::vector<Part> parts(2);
    LocalWorld::run(
        2, [&](Communicator world) { parts[static_cast<std::size_t>(world.rank())] = on_rank(world, deferred); });
    for (std::size_t r = 0; r < 2; ++r) {
      const auto equals = [&](const std::vector<double>& part, const std::vector<double>& all) {
        REQUIRE(2 * part.size() == all.size());
        for (std::size_t i = 0; i < part.size(); ++i) CHECK(part[i] == Approx(all[r * part.size() + i]).epsilon(1e-13));
      };
      equals(parts[r].z, whole.z);
      equals(parts[r].dx, whole.dx);
      equals(parts[r].gradients.at("w1.weight").second, whole.gradients.at("w1.weight").second);
      const auto& replicated = parts[r].gradients.at("w2.weight").second;
      for (std::size_t i = 0; i < replicated.size(); ++i)
        CHECK(replicated[i] == Approx(whole.gradients.at("w2.weight").second[i]).epsilon(1e-13));
      const auto& [begin, w3] = parts[r].gradients.at("w3.weight");
      CHECK(begin == static_cast<index_t>(r) * outs[0] / 2);
      for (index_t o = 0; o < out; ++o)
        for (index_t i = 0; i < outs[0] / 2; ++i)
          CHECK(w3[static_cast<std::size_t>(o * outs[0] / 2 + i)] ==
                Approx(whole.gradients.at("w3.weight").second[static_cast<std::size_t>(o * outs[0] + begin + i)])
                    .epsilon(1e-13));
    }
  }
}
