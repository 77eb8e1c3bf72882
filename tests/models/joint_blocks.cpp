#include "ashlar/models/joint/double_stream.hpp"
#include "ashlar/models/joint/single_stream.hpp"
#include "ashlar/models/stack.hpp"
#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;
constexpr index_t count = 2, image_len = 3, text_len = 2, dim = 8;
constexpr JointSizes sizes{.dim = dim, .num_heads = 2, .hidden_dim = 6};

void describe(Context<E>& c) {
  c.streams[0] = {count, image_len, {}, {}};
  c.streams[1] = {count, text_len, {}, {}};
}

struct AttentionSubject : test::Subject<E> {
  explicit AttentionSubject(bool shared) : attention(declarations, sizes.attention(), shared, .02) {
    add_input({count * image_len, dim});
    add_input({count * text_len, dim});
    forward = [this](Context<E>& c, const auto& in) {
      describe(c);
      const std::vector y{c.kept(in[0].shape()), c.kept(in[1].shape())};
      attention.forward(c, {in[0], in[1]}, {y[0], y[1]}, saved);
      return y;
    };
    recompute = [this](Context<E>& c) {
      describe(c);
      attention.recompute(c, saved);
    };
    backward = [this](Context<E>& c, const auto& dys) {
      describe(c);
      const std::vector dx{c.scratch({count * image_len, dim}), c.scratch({count * text_len, dim})};
      attention.backward(c, {dys[0].reshaped(dx[0].shape()), dys[1].reshaped(dx[1].shape())}, saved, {dx[0], dx[1]});
      return dx;
    };
  }
  JointAttention<E> attention;
  JointAttention<E>::Saved saved;
};

template <class BlockT>
struct BlockSubject : test::Subject<E> {
  BlockSubject() : block(declarations, sizes, .02) {
    static_assert(Block<BlockT, E, ImageText<E>>);
    add_input({count * image_len, dim});
    add_input({count * text_len, dim});
    add_input({count, dim});
    forward = [this](Context<E>& c, const auto& in) {
      describe(c);
      const ImageText<E> out = block.forward(c, {in[0], in[1], in[2]}, saved);
      return std::vector{out.image, out.text, out.condition};
    };
    recompute = [this](Context<E>& c) {
      describe(c);
      block.recompute(c, saved);
    };
    backward = [this](Context<E>& c, const auto& dys) {
      describe(c);
      ImageText<E> d{dys[0].reshaped({count * image_len, dim}), dys[1].reshaped({count * text_len, dim}),
                     dys[2].reshaped({count, dim})};
      block.backward(c, d, saved);
      return std::vector{d.image, d.text, d.condition};
    };
  }
  BlockT block;
  typename BlockT::Saved saved;
};

}  // namespace

TEST_CASE("joint attention's gradients, with weights of each stream and with shared ones") {
  for (const bool shared : {false, true}) {
    AttentionSubject s(shared);
    test::GradientLaw<E>(s).check();
  }
}

TEST_CASE("a row of joint attention sees its own sequence's image and text, and nothing of another's") {
  AttentionSubject s(false);
  test::GradientLaw<E> law(s);
  const index_t lengths[] = {image_len, text_len};
  const auto before = law.evaluate();
  for (std::size_t from = 0; from < 2; ++from)
    for (index_t row = 0; row < count * lengths[from]; ++row) {
      s.inputs[from].data()[row * dim] += 1;
      const auto after = law.evaluate();
      s.inputs[from].data()[row * dim] -= 1;
      for (std::size_t to = 0; to < 2; ++to)
        for (index_t r = 0; r < count * lengths[to]; ++r) {
          const auto at = before[to].begin() + r * dim;
          const bool changed = !std::equal(at, at + dim, after[to].begin() + r * dim);
          CHECK(changed == (r / lengths[to] == row / lengths[from]));
        }
    }
}

TEST_CASE("a double-stream block's gradients") {
  BlockSubject<DoubleStreamBlock<E>> s;
  test::GradientLaw<E>(s).check();
}

TEST_CASE("a single-stream block's gradients") {
  BlockSubject<SingleStreamBlock<E>> s;
  test::GradientLaw<E>(s).check();
}
