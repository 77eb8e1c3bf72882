#include "ashlar/nn/attention/cross.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;
constexpr index_t count = 2, queries = 3, keys = 4, dim = 8, memory_dim = 6;

struct CrossSubject : test::Subject<E> {
  CrossSubject() : attention(declarations, {dim, 4, 2, 3}, memory_dim, .02) {
    sequences = {count, queries, {}, {}};
    add_input({count * queries, dim});
    add_input({count * keys, memory_dim});
    forward = [this](Context<E>& c, const auto& in) {
      c.streams[1] = {count, keys, {}, {}};
      return std::vector{attention.forward(c, in[0], in[1], saved)};
    };
    recompute = [this](Context<E>& c) { attention.recompute(c, saved); };
    backward = [this](Context<E>& c, const auto& dys) {
      c.streams[1] = {count, keys, {}, {}};
      const auto [dx, dmemory] = attention.backward(c, dys[0].reshaped({count * queries, dim}), saved);
      return std::vector{dx, dmemory};
    };
  }
  CrossAttention<E> attention;
  CrossAttention<E>::Saved saved;
};

}  // namespace

TEST_CASE("cross-attention's gradients, of both streams") {
  CrossSubject s;
  test::GradientLaw<E>(s).check();
}

TEST_CASE("a query sees all of its own sequence's memory, and nothing of another's") {
  CrossSubject s;
  test::GradientLaw<E> law(s);
  for (index_t key = 0; key < count * keys; ++key) {
    const auto before = law.evaluate().front();
    s.inputs[1].data()[key * memory_dim] += 1;
    const auto after = law.evaluate().front();
    s.inputs[1].data()[key * memory_dim] -= 1;
    for (index_t row = 0; row < count * queries; ++row) {
      const bool changed =
          !std::equal(before.data() + row * dim, before.data() + row * dim + dim, after.data() + row * dim);
      CHECK(changed == (row / queries == key / keys));
    }
  }
}
