#include "ashlar/models/decoder/block.hpp"

#include "ashlar/moe/moe.hpp"
#include "ashlar/nn/attention/grouped_query.hpp"
#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;
using Attention = Sdpa::Module<E>;
using Dense = SwiGluFeedForward<E>;
using Experts = MoE<TopK<Sigmoid>>::Module<E>;

// `make_feed_forward(declarations)` as in TransformerBlock.
template <class E, class FeedForward>
struct BlockSubject : test::Subject<E> {
  static constexpr index_t rows = 10, dim = 8;
  using Block = TransformerBlock<E, Attention, FeedForward>;

  template <class Make>
  explicit BlockSubject(Make&& make_feed_forward)
      : rope(this->memory, this->queue, 5, 4, 100),
        block(
            this->declarations, dim, 1e-3,
            [&](Declarations<E> d) {
              return Attention(d, {dim, 2, 1, 4}, 0, rope, .02);
            },
            "feed_forward", make_feed_forward) {
    this->sequences.count = 2;
    this->sequences.len = 5;
    this->add_input({rows, dim});
    this->forward = [this](Context<E>& c, const auto& in) { return std::vector{block.forward(c, {in[0]}, saved).x}; };
    this->recompute = [this](Context<E>& c) { block.recompute(c, saved); };
    this->backward = [this](Context<E>& c, const auto& dys) {
      Residual<E> d{dys[0].reshaped({rows, dim})};
      block.backward(c, d, saved);
      return std::vector{d.x};
    };
  }
  RopeTable<E> rope;
  Block block;
  typename Block::Saved saved;
};

}  // namespace

TEST_CASE("a dense block's gradients") {
  BlockSubject<E, Dense> s([](Declarations<E> d) { return Dense(d, 8, 12, .02); });
  test::GradientLaw<E> law(s);
  law.check();
  std::vector<std::string> names;
  for (const auto& e : law.unit().layout().entries()) names.push_back(e.info.name);
  CHECK(names == std::vector<std::string>{"attention_norm.weight", "attention.wq.weight", "attention.wk.weight",
                                          "attention.wv.weight", "attention.wo.weight", "ffn_norm.weight",
                                          "feed_forward.w1.weight", "feed_forward.w3.weight",
                                          "feed_forward.w2.weight"});
}

TEST_CASE("a mixture-of-experts block's gradients") {
  const MoeSizes sizes{.num_experts = 3, .top_k = 2, .hidden_dim = 5, .num_shared_experts = 1, .route_norm = true};
  BlockSubject<E, Experts> s([&](Declarations<E> d) { return Experts(d, 8, sizes, .02); });
  test::GradientLaw<E>(s).check();
}

TEST_CASE("a block whose branches write nothing passes its input on") {
  BlockSubject<E, Dense> s([](Declarations<E> d) { return Dense(d, 8, 12, .02); });
  test::GradientLaw<E> law(s, 0);  // weights zero
  const auto y = law.evaluate().front();
  CHECK(std::equal(y.begin(), y.end(), s.inputs[0].data()));
}
