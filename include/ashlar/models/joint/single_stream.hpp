// SingleStreamBlock: image and text through the same weights, attention and feed-forward side by side (Dehghani et al.
// 2023, arXiv:2302.05442, section 2). Forward beside backward. Read next: models/joint/joint.hpp.
#pragma once

#include <array>

#include "ashlar/models/joint/modulation.hpp"
#include "ashlar/models/joint/sizes.hpp"
#include "ashlar/nn/attention/joint.hpp"
#include "ashlar/nn/swiglu.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"

namespace ashlar::inline v0 {

/// n = norm(x; shift, scale), y = x + gate (attention(n) + feed_forward(n)), for the rows of both streams.
template <class E>
class SingleStreamBlock {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Attention = JointAttention<E>;

  /// Of one stream.
  struct Side {
    typename ModulatedNorm<E>::Saved norm;
    typename SwiGluFeedForward<E>::Saved feed_forward;
    View branch;  // [N / tp, dim], kept: what the gate multiplies
  };
  struct Saved {
    ConstView condition;  // the block's input
    View active;          // [B, dim], recomputable: silu(condition)
    typename Modulation<E>::Saved modulation;
    std::array<Side, 2> sides;
    typename Attention::Saved attention;
  };

  SingleStreamBlock(Declarations<E> d, const JointSizes& s, double depth_std)
      : modulation_(d, "modulation", 3, s.dim),
        attention_(d.in("attention"), s.attention(), true, depth_std),
        feed_forward_(d.in("feed_forward"), s.dim, s.hidden_dim, depth_std) {}

  ImageText<E> forward(Context<E>& c, const ImageText<E>& in, Saved& saved) {
    const ImageText<E> out{c.kept(in.image.shape()), c.kept(in.text.shape()), in.condition};
    ArenaScope scope(c.scratch_arena());
    const std::array<View, 2> x{in.image, in.text}, y{out.image, out.text};
    saved.condition = in.condition;
    saved.active = activate<E>(c, in.condition);
    modulation_.forward(c, saved.active, saved.modulation);
    for (std::size_t s = 0; s < 2; ++s) {
      norm_.forward(c, s, x[s], vector(saved, 0), vector(saved, 1), saved.sides[s].norm);
      saved.sides[s].branch = c.kept(x[s].shape());
    }
    attention_.forward(c, {saved.sides[0].norm.y, saved.sides[1].norm.y},
                       {saved.sides[0].branch, saved.sides[1].branch}, saved.attention);
    for (std::size_t s = 0; s < 2; ++s) {
      typename Context<E>::Path path(c, s == 0 ? "image" : "text");
      Side& side = saved.sides[s];
      ArenaScope inner(c.scratch_arena());
      const View f = feed_forward_.forward(c, side.norm.y, side.feed_forward);
      ops::add<T>(c.queue, side.branch, f, side.branch);
      ops::add_gated<T, D>(c.queue, x[s], side.branch, vector(saved, 2), sequence_rows(c, s), y[s]);
      c.observe("y", y[s], {.rows_over = Axis::tp});
    }
    return out;
  }
  void recompute(Context<E>& c, Saved& saved) {
    saved.active = activate<E>(c, saved.condition);
    for (std::size_t s = 0; s < 2; ++s) norm_.recompute(c, s, saved.sides[s].norm);
    saved.attention.x = {saved.sides[0].norm.y, saved.sides[1].norm.y};
    attention_.recompute(c, saved.attention);
    for (Side& side : saved.sides) {
      side.feed_forward.x = side.norm.y;
      feed_forward_.recompute(c, side.feed_forward);
    }
  }

  /// d, the gradient of the output, becomes that of the input.
  void backward(Context<E>& c, ImageText<E>& d, const Saved& saved) {
    ArenaScope scope(c.scratch_arena());
    const std::array<View, 2> dx{d.image, d.text};
    const View dvectors = modulation_.gradient(c, saved.modulation);
    std::array<View, 2> dbranch, dnormed;
    for (std::size_t s = 0; s < 2; ++s) {
      dbranch[s] = c.scratch(dx[s].shape());
      dnormed[s] = c.scratch(dx[s].shape());
      ops::add_gated_backward<T, D>(c.queue, dx[s], saved.sides[s].branch, vector(saved, 2), sequence_rows(c, s),
                                    dbranch[s], modulation_.vector(dvectors, 2));
    }
    attention_.backward(c, {dbranch[0], dbranch[1]}, saved.attention, {dnormed[0], dnormed[1]});
    for (std::size_t s = 0; s < 2; ++s) {
      typename Context<E>::Path path(c, s == 0 ? "image" : "text");
      ArenaScope inner(c.scratch_arena());
      const View dfed = feed_forward_.backward(c, dbranch[s], saved.sides[s].feed_forward);
      ops::add<T>(c.queue, dnormed[s], dfed, dnormed[s]);
      norm_.backward(c, s, dnormed[s], saved.sides[s].norm, dx[s], modulation_.vector(dvectors, 0),
                     modulation_.vector(dvectors, 1));
    }
    const View dactive = c.scratch(d.condition.shape());
    modulation_.backward(c, dvectors, saved.active, dactive, false);
    ops::silu_backward<T, D>(c.queue, dactive, saved.condition, d.condition);
    c.observe("image", d.image, {.rows_over = Axis::tp});
    c.observe("text", d.text, {.rows_over = Axis::tp});
    c.observe("condition", d.condition, {.sum_over = Axis::tp});
  }

 private:
  View vector(const Saved& saved, int i) const { return modulation_.vector(saved.modulation.vectors, i); }

  Modulation<E> modulation_;
  ModulatedNorm<E> norm_;
  Attention attention_;
  SwiGluFeedForward<E> feed_forward_;
};

}  // namespace ashlar::inline v0
