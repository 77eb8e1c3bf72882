// TransformerBlock: pre-norm attention and feed-forward around a residual stream. Forward beside backward.
// Used by models/decoder.hpp. Read next: nn/attention.hpp, nn/swiglu.hpp, moe/moe.hpp.
#pragma once

#include "ashlar/nn/attention.hpp"
#include "ashlar/nn/rms_norm.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"

namespace ashlar::inline v0 {

/// h = x + attention(norm(x)); y = h + feed_forward(norm(h)). FeedForward is SwiGluFeedForward<E> or
/// MixtureOfExperts<E, ...>.
template <class E, class FeedForward>
class TransformerBlock {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = TensorView<T, D>;
  using ConstView = TensorView<const T, D>;

  struct Saved {
    typename RmsNorm<E>::Saved attention_norm;
    typename Attention<E>::Saved attention;
    typename RmsNorm<E>::Saved ffn_norm;
    typename FeedForward::Saved feed_forward;
  };

  /// `make_feed_forward(declarations)` returns the feed-forward; `name` is its checkpoint name.
  template <class Make>
  TransformerBlock(Declarations<E>& d, const AttentionSizes& sizes, double eps, int layer, const RopeTable<E>& rope,
                   double depth_std, std::string_view name, Make&& make_feed_forward)
      : attention_norm_(d, "attention_norm", sizes.dim, eps),
        attention_([&] {
          typename Declarations<E>::Scope scope(d, "attention");
          return Attention<E>(d, sizes, layer, rope, depth_std);
        }()),
        ffn_norm_(d, "ffn_norm", sizes.dim, eps),
        feed_forward_([&] {
          typename Declarations<E>::Scope scope(d, name);
          return make_feed_forward(d);
        }()) {}

  FeedForward& feed_forward() { return feed_forward_; }

  /// y [N / tp, dim], kept: the next block's input.
  View forward(Context<E>& c, ConstView x, Saved& saved) {
    View y = c.template kept<T>({x.rows(), x.cols()});
    ArenaScope scope(c.scratch_arena());
    {
      typename Context<E>::Path path(c, "attention");
      View normed = attention_norm_.forward(c, x, saved.attention_norm);
      View a = attention_.forward(c, normed, saved.attention);
      ffn_norm_.forward(c, a, x, saved.ffn_norm);
    }
    typename Context<E>::Path path(c, "feed_forward");
    View f = feed_forward_.forward(c, saved.ffn_norm.y, saved.feed_forward);
    ops::add<T>(c.queue, saved.ffn_norm.h, f, y);
    c.observe("y", y);
    return y;
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

  /// dy [N / tp, dim] becomes dx.
  void backward(Context<E>& c, View dy, const Saved& saved) {
    {
      ArenaScope scope(c.scratch_arena());
      typename Context<E>::Path path(c, "feed_forward");
      View dnormed = feed_forward_.backward(c, dy, saved.feed_forward);
      ffn_norm_.backward(c, dnormed, saved.ffn_norm, dy);
    }
    ArenaScope scope(c.scratch_arena());
    typename Context<E>::Path path(c, "attention");
    View dnormed = attention_.backward(c, dy, saved.attention);
    attention_norm_.backward(c, dnormed, saved.attention_norm, dy);
    c.observe("x", dy);
  }

 private:
  RmsNorm<E> attention_norm_;
  Attention<E> attention_;
  RmsNorm<E> ffn_norm_;
  FeedForward feed_forward_;
};

}  // namespace ashlar::inline v0
