// Joint attention: text and image have projections of their own, or share them, and attend to each other as one
// sequence (Esser et al. 2024, arXiv:2403.03206). Heads are cut over tp. Read next: nn/attention/core.hpp.
#pragma once

#include <cmath>
#include <memory>

#include "ashlar/nn/attention/core.hpp"
#include "ashlar/nn/attention/sizes.hpp"
#include "ashlar/nn/column_parallel.hpp"
#include "ashlar/nn/row_parallel.hpp"

namespace ashlar::inline v0 {

/// Rows of the image are those of c.sequences(0), rows of the text those of c.sequences(1); each sequence attends to
/// all rows of [its text; its image]. As many key-value heads as heads.
template <class E>
class JointAttention {
 public:
  using D = typename E::Device;
  using T = typename E::Compute;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Core = AttentionCore<E, Bidirectional>;

  /// A view of the image's rows and one of the text's, or what else there is of both.
  template <class V>
  struct Pair {
    V image, text;
  };
  struct Saved {
    Pair<ConstView> x;          // [Ni / tp, dim], [Nt / tp, dim], the caller's
    typename Core::Saved core;  // of this rank's heads, over the rows of both
    Pair<typename ColumnParallel<E, 3>::Saved> in;
  };

  /// `shared`: the text has the image's weights. `depth_std` initialises wo.
  JointAttention(Declarations<E> d, const GroupedQuerySizes& s, bool shared, double depth_std)
      : core_({s.num_heads / d.degree(Axis::tp), s.num_heads / d.degree(Axis::tp), s.head_dim, s.head_dim,
               1.0 / std::sqrt(static_cast<double>(s.head_dim)), 0},
              0),
        image_(d.in(shared ? "both" : "image"), s, depth_std) {
    if (s.num_heads % d.degree(Axis::tp) != 0)
      throw ConfigError(concat("--parallelism.tensor_parallel_degree ", d.degree(Axis::tp), " must divide the ",
                               s.num_heads, " heads"));
    if (!shared) text_ = std::make_unique<Projections>(d.in("text"), s, depth_std);
  }

  /// Writes y, of the shapes of x.
  void forward(Context<E>& c, const Pair<ConstView>& x, const Pair<View>& y, Saved& saved) const {
    const auto rows = joint(c);
    saved.x = x;
    core_.allocate(c, rows, rows, saved.core);
    {
      ArenaScope scope(c.scratch_arena());
      const auto parts = [&](index_t n) -> std::array<View, 3> {
        const Shape shape{n, saved.core.query.cols()};
        return {c.scratch(shape), c.scratch(shape), c.scratch(shape)};
      };
      const auto image = parts(c.sequences(0).rows()), text = parts(c.sequences(1).rows());
      image_.in.forward(c, x.image, image, saved.in.image);
      of_text().in.forward(c, x.text, text, saved.in.text);
      const std::array both{saved.core.query, saved.core.key, saved.core.value};
      for (std::size_t i = 0; i < 3; ++i) join(c, {image[i], text[i]}, both[i]);
    }
    core_.forward(c, rows, rows, saved.core);
    ArenaScope scope(c.scratch_arena());
    Pair<View> out{c.scratch({c.sequences(0).rows(), saved.core.out.cols()}),
                   c.scratch({c.sequences(1).rows(), saved.core.out.cols()})};
    split(c, saved.core.out, out);
    image_.out.forward(c, out.image, y.image);
    of_text().out.forward(c, out.text, y.text);
  }
  /// Makes the inputs of all ranks again; saved.x must be valid.
  void recompute(Context<E>& c, Saved& saved) const {
    image_.in.recompute(c, saved.x.image, saved.in.image);
    of_text().in.recompute(c, saved.x.text, saved.in.text);
  }

  /// Writes dx; accumulates the weight gradients.
  void backward(Context<E>& c, const Pair<ConstView>& dy, const Saved& saved, const Pair<View>& dx) {
    ArenaScope scope(c.scratch_arena());
    const auto rows = joint(c);
    const index_t width = saved.core.query.cols();
    const auto operands = [&] {
      return Pair<View>{c.operand({c.sequences(0).rows(), width}), c.operand({c.sequences(1).rows(), width})};
    };
    const Pair<View> out = operands(), dq = operands(), dk = operands(), dv = operands();
    split(c, saved.core.out, out);
    {
      ArenaScope inner(c.scratch_arena());
      const Shape shape = saved.core.query.shape();
      View dquery = c.scratch(shape), dkey = c.scratch(shape), dvalue = c.scratch(shape), dout = c.scratch(shape);
      const Pair<View> part{c.scratch(out.image.shape()), c.scratch(out.text.shape())};
      image_.out.backward(c, dy.image, out.image, part.image);
      of_text().out.backward(c, dy.text, out.text, part.text);
      join(c, part, dout);
      core_.backward(c, rows, rows, dout, saved.core, dquery, dkey, dvalue);
      split(c, dquery, dq);
      split(c, dkey, dk);
      split(c, dvalue, dv);
    }
    image_.in.backward(c, {dq.image, dk.image, dv.image}, saved.in.image, dx.image);
    of_text().in.backward(c, {dq.text, dk.text, dv.text}, saved.in.text, dx.text);
  }

 private:
  // What turns a stream's rows into queries, keys and values, and what attention found back into them.
  struct Projections {
    Projections(Declarations<E> d, const GroupedQuerySizes& s, double depth_std)
        : in(d, s.dim,
             {{{"wq", s.num_heads * s.head_dim}, {"wk", s.num_heads * s.head_dim}, {"wv", s.num_heads * s.head_dim}}}),
          out(d, "wo", s.dim, s.num_heads * s.head_dim, depth_std) {}
    ColumnParallel<E, 3> in;
    RowParallel<E> out;
  };

  const Projections& of_text() const { return text_ ? *text_ : image_; }
  Projections& of_text() { return text_ ? *text_ : image_; }

  // The rows of both: of each sequence its text, then its image.
  static Sequences<D> joint(const Context<E>& c) {
    return {c.sequences(0).count, c.sequences(0).len + c.sequences(1).len, {}, {}};
  }
  static void join(Context<E>& c, const Pair<View>& parts, View both) {
    each(c, parts, both, [&](View part, View all) { copy_rows(c, part, all); });
  }
  static void split(Context<E>& c, View both, const Pair<View>& parts) {
    each(c, parts, both, [&](View part, View all) { copy_rows(c, all, part); });
  }
  // f(rows of a part, the same rows of both) for each sequence and each part.
  template <class F>
  static void each(const Context<E>& c, const Pair<View>& parts, View both, F&& f) {
    const index_t image = c.sequences(0).len, text = c.sequences(1).len;
    for (index_t b = 0; b < c.sequences(0).count; ++b) {
      f(parts.text.rows(b * text, text), both.rows(b * (text + image), text));
      f(parts.image.rows(b * image, image), both.rows(b * (text + image) + text, image));
    }
  }
  static void copy_rows(Context<E>& c, View from, View to) {
    D::copy(c.queue, to.data(), from.data(), static_cast<std::size_t>(from.count()) * sizeof(T));
  }

  Core core_;
  Projections image_;
  std::unique_ptr<Projections> text_;  // null: image_ serves both
};

}  // namespace ashlar::inline v0
