// The ends of a joint model: projections of latents, text and timestep that begin its stream, and the modulated norm,
// projection and loss that end it. Read next: models/joint/objective.hpp.
#pragma once

#include "ashlar/models/joint/batch.hpp"
#include "ashlar/models/joint/modulation.hpp"
#include "ashlar/models/joint/objective.hpp"
#include "ashlar/models/joint/sizes.hpp"
#include "ashlar/nn/sequence_parallel.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"

namespace ashlar::inline v0 {

/// image = latents Wi^T, text = features Wt^T, condition = silu(f W1^T) W2^T of the timestep's features f.
template <class E>
class JointFront {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Floats = typename E::template ViewOf<const float>;

  struct Saved {
    View hidden;  // [B, dim], kept: f W1^T
  };

  JointFront(Declarations<E> d, const JointSizes& s)
      : sizes_(s),
        image_(d, "image_in", s.dim, s.channels, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)),
        text_(d, "text_in", s.dim, s.text_channels, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)),
        time1_(d, "time_in.w1", s.dim, s.time_features, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)),
        time2_(d, "time_in.w2", s.dim, s.dim, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)) {}

  template <class Batch>
  ImageText<E> forward(Context<E>& c, const Batch& batch, Saved& saved) const {
    check_rows(c);
    const index_t image_rows = part(c, 0), text_rows = part(c, 1), dim = sizes_.dim;
    const ImageText<E> out{c.kept({image_rows, dim}), c.kept({text_rows, dim}), c.kept({batch.rows, dim})};
    saved.hidden = c.kept({batch.rows, dim});
    ArenaScope scope(c.scratch_arena());
    image_.forward(c, ConstView(cast(c, 0, batch.latents, c.scratch({image_rows, sizes_.channels}))), out.image);
    text_.forward(c, ConstView(cast(c, 1, batch.text, c.scratch({text_rows, sizes_.text_channels}))), out.text);
    const View features = c.scratch({batch.rows, sizes_.time_features}), active = c.scratch(saved.hidden.shape());
    ops::timestep_features<T, D>(c.queue, batch.timesteps, features);
    time1_.forward(c, ConstView(features), saved.hidden);
    ops::silu<T, D>(c.queue, saved.hidden, active);
    time2_.forward(c, ConstView(active), out.condition);
    c.observe("image_in", out.image, {.rows_over = Axis::tp});
    c.observe("text_in", out.text, {.rows_over = Axis::tp});
    c.observe("time_in", out.condition, {});
    return out;
  }
  template <class Batch>
  void backward(Context<E>& c, const Batch& batch, const ImageText<E>& d, const Saved& saved) {
    ArenaScope scope(c.scratch_arena());
    const View latents = cast(c, 0, batch.latents, c.operand({part(c, 0), sizes_.channels}));
    const View text = cast(c, 1, batch.text, c.operand({part(c, 1), sizes_.text_channels}));
    image_.weight_gradient(c, c.template stable<T>(d.image), latents);
    text_.weight_gradient(c, c.template stable<T>(d.text), text);
    const View features = c.operand({batch.rows, sizes_.time_features}), active = c.operand(saved.hidden.shape()),
               dhidden = c.operand(saved.hidden.shape());
    ops::timestep_features<T, D>(c.queue, batch.timesteps, features);
    ops::silu<T, D>(c.queue, saved.hidden, active);
    time2_.weight_gradient(c, c.template stable<T>(d.condition), active);
    const View dactive = c.scratch(saved.hidden.shape());
    time2_.input_gradient(c, d.condition, dactive);
    D::fill_zero(c.queue, dhidden.data(), static_cast<std::size_t>(dhidden.count()) * sizeof(T));
    ops::silu_backward<T, D>(c.queue, dactive, saved.hidden, dhidden);
    time1_.weight_gradient(c, dhidden, features);
  }

 private:
  static int ranks(const Context<E>& c) { return E::has(tp) ? c.tensor_parallel.size() : 1; }
  static index_t part(const Context<E>& c, std::size_t stream) { return c.sequences(stream).rows() / ranks(c); }
  // The rows of the image were checked with the batch's layout.
  static void check_rows(const Context<E>& c) {
    if (c.sequences(1).rows() % ranks(c) != 0)
      throw ConfigError(concat("--parallelism.tensor_parallel_degree ", ranks(c), " must divide the ",
                               c.sequences(1).rows(), " rows of text of a micro-batch (", c.sequences(1).count,
                               " sequences of ", c.sequences(1).len, ")"));
  }
  // This rank's rows of a batch's array in the compute type.
  View cast(Context<E>& c, std::size_t stream, Floats all, View to) const {
    const Floats mine = all.range(sequence_rows(c, stream).first * to.cols(), to.count());
    ops::cast<float, T, D>(c.queue, mine, to);
    return to;
  }

  JointSizes sizes_;
  Linear<E> image_, text_, time1_, time2_;
};

/// prediction = norm(image; shift, scale) W^T, and its loss. The gradient of the loss is known in forward.
template <class E>
class JointBack {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  struct Saved {
    ConstView condition;
    View active;  // [B, dim], recomputable
    typename Modulation<E>::Saved modulation;
    typename ModulatedNorm<E>::Saved norm;
    View dprediction;  // [Ni / tp, channels], kept
    index_t text_rows = 0;
  };

  JointBack(Declarations<E> d, const JointSizes& s, const JointFront<E>*)
      : sizes_(s),
        modulation_(d, "final_modulation", 2, s.dim),
        out_(d, "image_out", s.channels, s.dim, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)) {}

  template <class Batch>
  void forward(Context<E>& c, const ImageText<E>& in, const Batch& batch, const PredictionLoss<E>& objective,
               TensorView<double, D> total, Saved& saved) {
    const index_t rows = in.image.rows();
    const Shape shape{rows, sizes_.channels};
    saved.condition = in.condition;
    saved.text_rows = in.text.rows();
    if (c.saving()) saved.dprediction = c.kept(shape);
    saved.active = activate<E>(c, in.condition);
    modulation_.forward(c, saved.active, saved.modulation);
    const View normed = norm_.forward(c, 0, in.image, vector(saved, 0), vector(saved, 1), saved.norm);
    ArenaScope scope(c.scratch_arena());
    const View prediction = c.scratch(shape);
    out_.forward(c, ConstView(normed), prediction);
    c.observe("prediction", prediction, {.rows_over = Axis::tp});
    auto losses = c.template scratch<A>({c.sequences().rows()});
    auto mine = tensor_parallel(c) ? c.template scratch<A>({rows}) : losses;
    const index_t first = sequence_rows(c, 0).first;
    Prediction<E> p;
    p.values = prediction;
    p.target = batch.targets.range(first * sizes_.channels, shape.count()).reshaped(shape);
    p.first_row = first;
    p.scale = c.loss_scale;
    p.gradient = saved.dprediction;
    if (!c.saving()) p.gradient = {};
    p.loss = mine;
    objective(c, p);
    if (tensor_parallel(c)) c.tensor_parallel.all_gather(c.queue, mine, losses).wait(c.queue);
    auto workspace = c.template scratch<double>({ops::sum_workspace<D>(losses.count())});
    ops::sum(c.queue, TensorView<const A, D>(losses), total, workspace);
  }
  void recompute(Context<E>& c, Saved& saved) const {
    saved.active = activate<E>(c, saved.condition);
    norm_.recompute(c, 0, saved.norm);
  }

  /// The gradient of the stream, in scratch: nothing depends on the text any more.
  ImageText<E> backward(Context<E>& c, const Saved& saved) {
    const index_t dim = sizes_.dim;
    const ImageText<E> d{c.scratch({saved.dprediction.rows(), dim}), c.scratch({saved.text_rows, dim}),
                         c.scratch(saved.condition.shape())};
    ImageText<E>::for_each_tensor(
        [&](const View& x) { D::fill_zero(c.queue, x.data(), static_cast<std::size_t>(x.count()) * sizeof(T)); }, d);
    ArenaScope scope(c.scratch_arena());
    const View dvectors = modulation_.gradient(c, saved.modulation), dnormed = c.scratch(d.image.shape()),
               dactive = c.scratch(saved.condition.shape());
    out_.weight_gradient(c, saved.dprediction, saved.norm.y);
    out_.input_gradient(c, saved.dprediction, dnormed);
    norm_.backward(c, 0, dnormed, saved.norm, d.image, modulation_.vector(dvectors, 0),
                   modulation_.vector(dvectors, 1));
    modulation_.backward(c, dvectors, saved.active, dactive, false);
    ops::silu_backward<T, D>(c.queue, dactive, saved.condition, d.condition);
    return d;
  }

 private:
  View vector(const Saved& saved, int i) const { return modulation_.vector(saved.modulation.vectors, i); }

  JointSizes sizes_;
  Modulation<E> modulation_;
  ModulatedNorm<E> norm_;
  Linear<E> out_;
};

}  // namespace ashlar::inline v0
