#include "ashlar/nn/attention/grouped_query.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

// A mask of a user's own: a query sees itself and the two tokens before.
struct LastThree {
  struct State {};
  static constexpr bool needs_documents = false;
  static constexpr index_t width = 3;
  static bool visible(const State&, index_t, index_t q, index_t k) { return k <= q && k > q - width; }
  static KeyRange keys(const State&, index_t, index_t q_begin, index_t q_end, index_t key_len) {
    return {std::max(index_t{0}, q_begin - width + 1), std::min(q_end, key_len)};
  }
  static bool all_visible(const State&, index_t, index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) {
    return k_end <= q_begin + 1 && k_begin > q_end - 1 - width;
  }
};

using UsesSdpa = Sdpa;
using UsesFlash = Flash<Causal>;
using UsesDocuments = Flex<BlockCausal>;
using UsesWindow = Flex<LastThree>;
using E = Environment<Cpu, double>;

constexpr index_t count = 2, seq_len = 6, rows = count * seq_len;

template <class Kind>
struct AttentionSubject : test::Subject<E> {
  using Attention = typename Kind::template Module<E>;
  using View = TensorView<double, Cpu>;

  explicit AttentionSubject(const GroupedQuerySizes& s)
      : sizes(s),
        rope(this->memory, this->queue, seq_len, s.head_dim, 100),
        attention(this->declarations, s, 0, rope, .02) {
    this->sequences = {count, seq_len, {}, {starts, {rows}}};
    this->add_input({rows, s.dim});
    this->forward = [this](Context<E>& c, const auto& in) { return std::vector{attention.forward(c, in[0], saved)}; };
    this->recompute = [this](Context<E>& c) { attention.recompute(c, saved); };
    this->backward = [this](Context<E>& c, const auto& dys) {
      return std::vector{attention.backward(c, dys[0].reshaped({rows, sizes.dim}), saved)};
    };
  }

  std::int32_t starts[rows] = {0, 0, 0, 3, 3, 3, 0, 1, 1, 1, 1, 5};
  GroupedQuerySizes sizes;
  RopeTable<E> rope;
  Attention attention;
  typename Attention::Saved saved;
};

template <class Kind>
void check_gradients(index_t heads, index_t kv_heads) {
  GroupedQuerySizes sizes{8, heads, kv_heads, 4};
  sizes.local = 4;
  AttentionSubject<Kind> s(sizes);
  test::GradientLaw<E>(s).check();
}

// What is fed token by token, or in uneven pieces, through the cache comes out as from the whole pass.
template <class Kind>
void check_cache(std::initializer_list<index_t> pieces) {
  AttentionSubject<Kind> s({8, 4, 2, 4});
  RopeAngles angles = rope_angles(4, 100, {}, seq_len);
  for (index_t p = 0; p < seq_len; ++p) angles.query_scales.push_back(1 + static_cast<float>(p));
  s.rope = RopeTable<E>(s.memory, s.queue, seq_len, angles);
  test::GradientLaw<E> law(s);
  const auto whole = law.evaluate().front();
  KeyValueCache<E> cache(count, seq_len);
  cache.add_layer(s.memory, s.attention.core().key_width(), s.attention.core().value_width());
  Arena<Cpu> scratch(s.memory);
  for (const index_t n : pieces) {
    Context<E> c(s.queue, scratch);
    c.streams[0] = s.sequences;
    c.streams[0].len = n;
    c.cache = &cache;
    Tensor<double, Cpu> x(s.memory, {count * n, 8});
    for (index_t b = 0; b < count; ++b)
      std::copy_n(s.inputs[0].data() + (b * seq_len + cache.length) * 8, n * 8, x.data() + b * n * 8);
    typename Kind::template Module<E>::Saved saved;
    const auto y = s.attention.forward(c, x.view(), saved);
    for (index_t b = 0; b < count; ++b)
      for (index_t i = 0; i < n * 8; ++i) {
        INFO("position " << cache.length + i / 8 << " of sequence " << b);
        const index_t at = (b * seq_len + cache.length) * 8 + i;
        CHECK(y.data()[b * n * 8 + i] == Approx(whole[static_cast<std::size_t>(at)]).epsilon(1e-12).margin(1e-13));
      }
    cache.length += n;
    scratch.clear();
  }
  REQUIRE(cache.length == seq_len);
}

}  // namespace

TEST_CASE("attention's gradients, by kind") {
  check_gradients<UsesSdpa>(2, 2);
  check_gradients<UsesFlash>(2, 2);
  check_gradients<UsesDocuments>(2, 2);
  check_gradients<UsesWindow>(2, 2);
}

TEST_CASE("attention's gradients with grouped key-value heads") {
  check_gradients<UsesSdpa>(4, 2);
  check_gradients<UsesDocuments>(4, 1);
}

TEST_CASE("attention sees what its mask shows, and nothing else") {
  AttentionSubject<UsesWindow> s({8, 2, 2, 4});
  test::GradientLaw<E> law(s);
  const auto before = law.evaluate().front();
  s.inputs[0].data()[1 * 8 + 2] += 1;  // position 1 of the first sequence
  const auto after = law.evaluate().front();
  for (index_t row = 0; row < rows; ++row) {
    const auto* a = before.data() + row * 8;
    const bool changed = !std::equal(a, a + 8, after.data() + row * 8);
    CHECK(changed == (row >= 1 && row < 1 + LastThree::width));
  }
}

TEST_CASE("token by token through the key-value cache is the whole pass") {
  check_cache<UsesSdpa>({1, 1, 1, 1, 1, 1});
  check_cache<UsesWindow>({1, 1, 1, 1, 1, 1});
  check_cache<UsesDocuments>({1, 1, 1, 1, 1, 1});
}

TEST_CASE("a prompt and what follows through the key-value cache are the whole pass") {
  check_cache<UsesSdpa>({4, 1, 1});
  check_cache<UsesWindow>({2, 3, 1});
  check_cache<UsesDocuments>({4, 2});
  check_cache<Grouped<Causal, ScaledQueries>>({4, 1, 1});
}

TEST_CASE("heads that tp does not divide are refused in words") {
  test::Subject<E> s;
  Declarations<E> d(s.memory, s.queue, {0, 4}, {});
  RopeTable<E> rope(s.memory, s.queue, 4, 4, 100);
  try {
    UsesSdpa::Module<E>(d, {16, 4, 2, 4}, 0, rope, .02);
    FAIL("no error");
  } catch (const ConfigError& e) {
    CHECK(std::string(e.what()) ==
          "--parallelism.tensor_parallel_degree 4 must divide the 4 heads and the 2 key-value heads");
  }
}

TEST_CASE("heads need not fill dim, halves turn together, and heads have norms") {
  AttentionSubject<Grouped<Causal, Rope<Halves>, HeadNorm>> qwen({8, 4, 2, 6});
  test::GradientLaw<E>(qwen).check();
  AttentionSubject<Grouped<BlockCausal, NoRope>> without({8, 2, 1, 4});
  test::GradientLaw<E>(without).check();
}

TEST_CASE("heads have length 1 where the sizes say so, and queries grow with their positions") {
  GroupedQuerySizes sizes{8, 4, 2, 4};
  sizes.local = 4;
  using Normed = AttentionSubject<Grouped<Chunked<BlockCausal>, Rope<>, LengthNorm>>;
  for (const bool acts : {true, false}) {
    sizes.length_norm = acts;
    Normed normed(sizes);
    test::GradientLaw<E> law(normed);
    law.check();
    // Twice the input is twice the queries and keys, which the norm takes back: values alone grow.
    const auto once = law.evaluate().front();
    for (index_t i = 0; i < rows * 8; ++i) normed.inputs[0].data()[i] *= 2;
    const auto twice = law.evaluate().front();
    double difference = 0;
    for (std::size_t i = 0; i < once.size(); ++i) difference += std::abs(twice[i] - 2 * once[i]);
    CHECK((difference < 1e-2) == acts);
    CHECK(Normed(sizes).declarations.take().size() == 4);  // it has no weights
  }
  using Scaled = AttentionSubject<Grouped<Causal, ScaledQueries>>;
  Scaled without({8, 4, 2, 4}), scaled({8, 4, 2, 4});
  AttentionSubject<Grouped<Causal, NoRope>> plain({8, 4, 2, 4});
  RopeAngles angles = rope_angles(4, 100, {}, seq_len);
  angles.query_scales.assign(seq_len, 1);
  angles.query_scales[4] = 3;
  scaled.rope = RopeTable<E>(scaled.memory, scaled.queue, seq_len, angles);
  test::GradientLaw<E> law(scaled);
  law.check();
  const auto y = test::GradientLaw<E>(plain).evaluate().front(), z = law.evaluate().front();
  CHECK(test::GradientLaw<E>(without).evaluate().front() == y);  // no numbers, no scales
  for (index_t row = 0; row < rows; ++row)
    CHECK(std::equal(y.data() + row * 8, y.data() + row * 8 + 8, z.data() + row * 8) == (row % seq_len != 4));
}

TEST_CASE("attention stays in its chunk, or in its window, of the length that the sizes say") {
  check_gradients<Grouped<Chunked<BlockCausal>>>(2, 1);
  GroupedQuerySizes sizes{8, 2, 2, 4};
  sizes.local = 3;
  AttentionSubject<Grouped<Chunked<Causal>>> chunked(sizes);
  const auto seen = [](auto& s, index_t changed) {
    test::GradientLaw<E> law(s);
    const auto before = law.evaluate().front();
    s.inputs[0].data()[changed * 8] += 1;
    const auto after = law.evaluate().front();
    std::vector<index_t> out;
    for (index_t row = 0; row < rows; ++row)
      if (!std::equal(before.data() + row * 8, before.data() + row * 8 + 8, after.data() + row * 8)) out.push_back(row);
    return out;
  };
  CHECK(seen(chunked, 1) == std::vector<index_t>{1, 2});
  AttentionSubject<Grouped<SlidingWindow<Causal>>> window(sizes);
  CHECK(seen(window, 1) == std::vector<index_t>{1, 2, 3});
}
