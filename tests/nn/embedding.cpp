#include "ashlar/nn/embedding.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;

}  // namespace

TEST_CASE("an embedding's gradients, tokens repeated") {
  test::Subject<E> s;
  Embedding<E> embedding(s.declarations, "tok_embeddings", 6, 5);
  s.sequences.count = 2;
  s.sequences.len = 7;
  s.sequences.tokens = s.add_ids(14, 6);
  s.forward = [&](Context<E>& c, const auto&) { return std::vector{embedding.forward(c)}; };
  s.backward = [&](Context<E>& c, const auto& dys) {
    embedding.backward(c, dys[0].reshaped({14, 5}));
    return std::vector<TensorView<double, Cpu>>{};
  };
  test::GradientLaw<E> law(s);
  law.check();
  CHECK(law.unit().layout().entries()[0].info.name == "tok_embeddings.weight");
}

TEST_CASE("an embedding picks rows") {
  test::Subject<E> s;
  Embedding<E> embedding(s.declarations, "e", 4, 2);
  Unit<E> unit(s.declarations.take(), {}, {});
  unit.allocate(s.memory, s.queue, nullptr, nullptr);
  for (int i = 0; i < 8; ++i) unit.master().data()[i] = i;
  const std::int32_t tokens[] = {3, 0};
  Arena<Cpu> scratch(s.memory);
  Context<E> c(s.queue, scratch);
  c.streams[0].count = 1;
  c.streams[0].len = 2;
  c.streams[0].tokens = {tokens, {2}};
  const auto y = embedding.forward(c);
  CHECK(std::vector<double>(y.data(), y.data() + 4) == std::vector<double>{6, 7, 0, 1});
}
