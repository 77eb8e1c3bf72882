// TransformerBlock: pre-norm attention and feed-forward around a residual stream. Forward beside backward. Read next:
// nn/attention/grouped_query.hpp, nn/swiglu.hpp, moe/moe.hpp.
#pragma once

#include "ashlar/models/stream.hpp"
#include "ashlar/nn/attention/rope_table.hpp"
#include "ashlar/nn/rms_norm.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"

namespace ashlar::inline v0 {

/// h = x + attention(norm(x)); y = h + feed_forward(norm(h)). Attention and FeedForward are modules, of any kind.
template <class E, class AttentionT, class FeedForwardT>
class TransformerBlock {
 public:
  using Attention = AttentionT;
  using FeedForward = FeedForwardT;
  using View = typename E::View;

  struct Saved {
    typename RmsNorm<E>::Saved attention_norm;
    typename Attention::Saved attention;
    typename RmsNorm<E>::Saved ffn_norm;
    typename FeedForward::Saved feed_forward;
  };

  /// make_attention(declarations) and make_feed_forward(declarations) return the modules; `name` is the feed-forward's
  /// checkpoint name.
  template <class MakeAttention, class MakeFeedForward>
  TransformerBlock(Declarations<E> d, index_t dim, double eps, MakeAttention&& make_attention, std::string_view name,
                   MakeFeedForward&& make_feed_forward)
      : attention_norm_(d, "attention_norm", dim, eps),
        attention_(make_attention(d.in("attention"))),
        ffn_norm_(d, "ffn_norm", dim, eps),
        feed_forward_(make_feed_forward(d.in(name))) {}

  const Attention& attention() const { return attention_; }

  /// y [N / tp, dim], kept: the next block's input.
  Residual<E> forward(Context<E>& c, const Residual<E>& in, Saved& saved) {
    View y = c.kept(in.x.shape());
    ArenaScope scope(c.scratch_arena());
    {
      typename Context<E>::Path path(c, "attention");
      View normed = attention_norm_.forward(c, in.x, saved.attention_norm);
      View a = attention_.forward(c, normed, saved.attention);
      ffn_norm_.forward(c, a, in.x, saved.ffn_norm);
    }
    typename Context<E>::Path path(c, "feed_forward");
    View f = feed_forward_.forward(c, saved.ffn_norm.y, saved.feed_forward);
    ops::add<typename E::Compute>(c.queue, saved.ffn_norm.h, f, y);
    c.observe("y", y, {.rows_over = Axis::tp});
    return {y};
  }
  /// Makes what Keep::selected dropped again.
  void recompute(Context<E>& c, Saved& saved) {
    attention_norm_.recompute(c, saved.attention_norm);
    saved.attention.x = saved.attention_norm.y;
    attention_.recompute(c, saved.attention);
    ffn_norm_.recompute(c, saved.ffn_norm);
    saved.feed_forward.x = saved.ffn_norm.y;
    feed_forward_.recompute(c, saved.feed_forward);
  }

  /// d.x [N / tp, dim], the gradient of y, becomes that of x.
  void backward(Context<E>& c, Residual<E>& d, const Saved& saved) {
    {
      ArenaScope scope(c.scratch_arena());
      typename Context<E>::Path path(c, "feed_forward");
      View dnormed = feed_forward_.backward(c, d.x, saved.feed_forward);
      ffn_norm_.backward(c, dnormed, saved.ffn_norm, d.x);
    }
    ArenaScope scope(c.scratch_arena());
    typename Context<E>::Path path(c, "attention");
    View dnormed = attention_.backward(c, d.x, saved.attention);
    attention_norm_.backward(c, dnormed, saved.attention_norm, d.x);
    c.observe("x", d.x, {.rows_over = Axis::tp});
  }

  /// Of a feed-forward whose router counts: the last step's choices of this rank's tokens, an expert each.
  auto expert_counts() const requires requires(const FeedForward& f) { f.expert_counts(); }
  { return feed_forward_.expert_counts(); }

  /// Once a step, of a feed-forward that counts (moe/router.hpp).
  auto take_counts(typename E::Device::Queue& queue) requires requires(FeedForward& f) { f.take_counts(queue); }
  { return feed_forward_.take_counts(queue); }
  void finish_step(typename E::Device::Queue& queue) requires requires(FeedForward& f) { f.finish_step(queue); }
  { feed_forward_.finish_step(queue); }

 private:
  RmsNorm<E> attention_norm_;
  Attention attention_;
  RmsNorm<E> ffn_norm_;
  FeedForward feed_forward_;
};

}  // namespace ashlar::inline v0
