// DoubleStreamBlock: image and text each have their own weights and meet in attention (Esser et al. 2024,
// arXiv:2403.03206, figure 2b). Forward beside backward. Read next: models/joint/single_stream.hpp.
#pragma once

#include <array>

#include "ashlar/models/joint/modulation.hpp"
#include "ashlar/models/joint/sizes.hpp"
#include "ashlar/nn/attention/joint.hpp"
#include "ashlar/nn/swiglu.hpp"

namespace ashlar::inline v0 {

/// Of each stream, with its six vectors of the condition: h = x + gate1 attention(norm(x; shift1, scale1)), y = h +
/// gate2 feed_forward(norm(h; shift2, scale2)). The condition passes through.
template <class E>
class DoubleStreamBlock {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Attention = JointAttention<E>;

  /// Of one stream.
  struct Side {
    typename Modulation<E>::Saved modulation;
    typename ModulatedNorm<E>::Saved attention_norm, ffn_norm;
    typename SwiGluFeedForward<E>::Saved feed_forward;
    View attended, h, fed;  // [N / tp, dim], kept: what the gates multiply, and what stands between them
  };
  struct Saved {
    ConstView condition;  // the block's input
    View active;          // [B, dim], recomputable: silu(condition)
    std::array<Side, 2> sides;
    typename Attention::Saved attention;
  };

  DoubleStreamBlock(Declarations<E> d, const JointSizes& s, double depth_std)
      : modulation_{Modulation<E>(d.in("image"), "modulation", 6, s.dim),
                    Modulation<E>(d.in("text"), "modulation", 6, s.dim)},
        attention_(d.in("attention"), s.attention(), false, depth_std),
        feed_forward_{SwiGluFeedForward<E>(d.in("image").in("feed_forward"), s.dim, s.hidden_dim, depth_std),
                      SwiGluFeedForward<E>(d.in("text").in("feed_forward"), s.dim, s.hidden_dim, depth_std)} {}

  ImageText<E> forward(Context<E>& c, const ImageText<E>& in, Saved& saved) {
    const ImageText<E> out{c.kept(in.image.shape()), c.kept(in.text.shape()), in.condition};
    ArenaScope scope(c.scratch_arena());
    const std::array<View, 2> x{in.image, in.text}, y{out.image, out.text};
    saved.condition = in.condition;
    saved.active = activate<E>(c, in.condition);
    for (std::size_t s = 0; s < 2; ++s) {
      Side& side = saved.sides[s];
      modulation_[s].forward(c, saved.active, side.modulation);
      norm_.forward(c, s, x[s], vector(side, s, 0), vector(side, s, 1), side.attention_norm);
      side.attended = c.kept(x[s].shape());
      side.h = c.kept(x[s].shape());
      side.fed = c.kept(x[s].shape());
    }
    Side &image = saved.sides[0], &text = saved.sides[1];
    attention_.forward(c, {image.attention_norm.y, text.attention_norm.y}, {image.attended, text.attended},
                       saved.attention);
    for (std::size_t s = 0; s < 2; ++s) {
      typename Context<E>::Path path(c, names[s]);
      Side& side = saved.sides[s];
      const auto of = sequence_rows(c, s);
      ops::add_gated<T, D>(c.queue, x[s], side.attended, vector(side, s, 2), of, side.h);
      const View normed = norm_.forward(c, s, side.h, vector(side, s, 3), vector(side, s, 4), side.ffn_norm);
      ArenaScope inner(c.scratch_arena());
      const View f = feed_forward_[s].forward(c, normed, side.feed_forward);
      D::copy(c.queue, side.fed.data(), f.data(), static_cast<std::size_t>(f.count()) * sizeof(T));
      ops::add_gated<T, D>(c.queue, side.h, side.fed, vector(side, s, 5), of, y[s]);
      c.observe("y", y[s], {.rows_over = Axis::tp});
    }
    return out;
  }
  void recompute(Context<E>& c, Saved& saved) {
    saved.active = activate<E>(c, saved.condition);
    for (std::size_t s = 0; s < 2; ++s) norm_.recompute(c, s, saved.sides[s].attention_norm);
    saved.attention.x = {saved.sides[0].attention_norm.y, saved.sides[1].attention_norm.y};
    attention_.recompute(c, saved.attention);
    for (std::size_t s = 0; s < 2; ++s) {
      Side& side = saved.sides[s];
      norm_.recompute(c, s, side.ffn_norm);
      side.feed_forward.x = side.ffn_norm.y;
      feed_forward_[s].recompute(c, side.feed_forward);
    }
  }

  /// d, the gradient of the output, becomes that of the input.
  void backward(Context<E>& c, ImageText<E>& d, const Saved& saved) {
    ArenaScope scope(c.scratch_arena());
    const std::array<View, 2> dx{d.image, d.text};
    std::array<View, 2> dvectors, dattended, dnormed;
    for (std::size_t s = 0; s < 2; ++s) {
      const Side& side = saved.sides[s];
      const auto of = sequence_rows(c, s);
      dvectors[s] = modulation_[s].gradient(c, side.modulation);
      dattended[s] = c.scratch(dx[s].shape());
      dnormed[s] = c.scratch(dx[s].shape());
      ArenaScope inner(c.scratch_arena());
      typename Context<E>::Path path(c, names[s]);
      const View dfed = c.scratch(dx[s].shape());
      ops::add_gated_backward<T, D>(c.queue, dx[s], side.fed, vector(side, s, 5), of, dfed,
                                    modulation_[s].vector(dvectors[s], 5));
      const View dffn = feed_forward_[s].backward(c, dfed, side.feed_forward);
      norm_.backward(c, s, dffn, side.ffn_norm, dx[s], modulation_[s].vector(dvectors[s], 3),
                     modulation_[s].vector(dvectors[s], 4));
      ops::add_gated_backward<T, D>(c.queue, dx[s], side.attended, vector(side, s, 2), of, dattended[s],
                                    modulation_[s].vector(dvectors[s], 2));
    }
    attention_.backward(c, {dattended[0], dattended[1]}, saved.attention, {dnormed[0], dnormed[1]});
    const View dactive = c.scratch(d.condition.shape());
    for (std::size_t s = 0; s < 2; ++s) {
      norm_.backward(c, s, dnormed[s], saved.sides[s].attention_norm, dx[s], modulation_[s].vector(dvectors[s], 0),
                     modulation_[s].vector(dvectors[s], 1));
      modulation_[s].backward(c, dvectors[s], saved.active, dactive, s > 0);
    }
    ops::silu_backward<T, D>(c.queue, dactive, saved.condition, d.condition);
    c.observe("image", d.image, {.rows_over = Axis::tp});
    c.observe("text", d.text, {.rows_over = Axis::tp});
    c.observe("condition", d.condition, {.sum_over = Axis::tp});
  }

 private:
  static constexpr std::string_view names[] = {"image", "text"};
  View vector(const Side& side, std::size_t s, int i) const {
    return modulation_[s].vector(side.modulation.vectors, i);
  }

  std::array<Modulation<E>, 2> modulation_;
  ModulatedNorm<E> norm_;
  Attention attention_;
  std::array<SwiGluFeedForward<E>, 2> feed_forward_;
};

}  // namespace ashlar::inline v0
