#include "ashlar/nn/low_rank.hpp"

#include "ashlar/nn/swiglu.hpp"
#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double, single, LowRank>;

LoraConfig adapters(std::vector<std::string> targets = {"*"}) {
  return {.rank = 3, .alpha = 6.5, .targets = std::move(targets)};
}

}  // namespace

TEST_CASE("a feed-forward with adapters: gradients of the input and of the adapters, and of nothing else") {
  for (const bool some : {false, true}) {
    test::Subject<E> s;
    s.declarations.adapt_by(adapters(some ? std::vector<std::string>{"w3", "*2"} : std::vector<std::string>{"*"}));
    s.declarations.classify_by([](ParameterInfo& info) { info.trainable = LowRank::trains(info); });
    SwiGluFeedForward<E> ffn(s.declarations, 6, 10, 0.02);
    SwiGluFeedForward<E>::Saved saved;
    s.add_input({5, 6});
    s.forward = [&](Context<E>& c, const auto& in) { return std::vector{ffn.forward(c, in[0], saved)}; };
    s.recompute = [&](Context<E>& c) { ffn.recompute(c, saved); };
    s.backward = [&](Context<E>& c, const auto& dys) {
      return std::vector{ffn.backward(c, dys[0].reshaped({5, 6}), saved)};
    };
    test::GradientLaw<E> law(s);
    law.check();
    CHECK(law.unit().layout().entries().size() == (some ? 7 : 9));
  }
}

TEST_CASE("an adapted product by hand: W x + alpha / rank B A x") {
  test::Subject<E> s;
  s.declarations.adapt_by({.rank = 2, .alpha = 3, .targets = {"*"}});
  LowRankProjection<E> w(s.declarations, "w", 2, 3, LinearKind::replicated, Initializer::normal(1));
  Unit<E> unit(s.declarations.take(), {}, {});
  unit.allocate(s.memory, s.queue, nullptr, nullptr);
  const auto set = [&](std::string_view name, std::vector<double> values) {
    for (const auto& e : unit.layout().entries())
      if (e.info.name == name) std::copy(values.begin(), values.end(), unit.master().data() + e.begin);
  };
  set("w.weight", {1, 2, 3, 4, 5, 6});
  set("w.lora_A.weight", {1, 0, 1, 0, 2, 0});
  set("w.lora_B.weight", {1, 10, 100, 1000});
  double x[] = {1, 10, 100}, y[2];
  Arena<Cpu> scratch(s.memory);
  Context<E> c(s.queue, scratch);
  w.forward(c, {x, {1, 3}}, {y, {1, 2}});
  // A x = (101, 20); 1.5 B A x = (451.5, 45150).
  CHECK(y[0] == 321 + 1.5 * 301);
  CHECK(y[1] == 654 + 1.5 * 30100);
}

TEST_CASE("adapters are cut over tp where their weight is, and begin as the paper says") {
  test::Subject<E> s;
  Declarations<E> d(s.memory, s.queue, {1, 2}, {});
  d.adapt_by({.rank = 3, .alpha = 6, .targets = {"layers.*.wq", "*wo"}});
  LowRankProjection<E> q(d.in("layers.0"), "wq", 8, 4, LinearKind::column_parallel, Initializer::normal(1));
  LowRankProjection<E> o(d.in("layers.0"), "wo", 4, 8, LinearKind::row_parallel, Initializer::normal(1));
  LowRankProjection<E> k(d.in("layers.0"), "wk", 8, 4, LinearKind::column_parallel, Initializer::normal(1));
  const auto entries = d.take();
  REQUIRE(entries.size() == 7);
  const auto is = [&](std::size_t i, std::string_view name, const Shape& local, const Shape& offset) {
    INFO(entries[i].info.name);
    CHECK(entries[i].info.name == name);
    CHECK(entries[i].local_shape == local);
    CHECK(entries[i].local_offset == offset);
  };
  is(0, "layers.0.wq.weight", {4, 4}, {4, 0});
  is(1, "layers.0.wq.lora_A.weight", {3, 4}, {0, 0});
  is(2, "layers.0.wq.lora_B.weight", {4, 3}, {4, 0});
  is(3, "layers.0.wo.weight", {4, 4}, {0, 4});
  is(4, "layers.0.wo.lora_A.weight", {3, 4}, {0, 4});
  is(5, "layers.0.wo.lora_B.weight", {4, 3}, {0, 0});
  is(6, "layers.0.wk.weight", {4, 4}, {4, 0});
  CHECK(entries[1].info.initializer.kind == Initializer::Kind::uniform);
  CHECK(entries[1].info.initializer.cut == 0.5);  // 1 / sqrt(in)
  CHECK(entries[4].info.initializer.cut == 1 / std::sqrt(8.0));
  CHECK(entries[2].info.initializer.kind == Initializer::Kind::constant);
  CHECK(entries[2].info.initializer.mean == 0);
}
