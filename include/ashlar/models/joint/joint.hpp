// Joint: a model of images and text that learns to remove noise, in the manner of FLUX.1: double-stream blocks, then
// single-stream blocks, steered by a condition. Read next: models/joint/double_stream.hpp, models/joint/ends.hpp.
#pragma once

#include <string>

#include "ashlar/models/joint/double_stream.hpp"
#include "ashlar/models/joint/ends.hpp"
#include "ashlar/models/joint/single_stream.hpp"
#include "ashlar/models/model.hpp"
#include "ashlar/models/stack.hpp"

namespace ashlar::inline v0 {

/// F: a family, with a `name` and flavors() of JointSizes. Positions are not encoded: latents and text bring their own.
template <class E, class F>
struct Joint {
  using Environment = E;
  using Family = F;
  using Sizes = JointSizes;
  template <template <class> class Array>
  using Batch = LatentBatch<Array>;
  using Stream = ImageText<E>;
  using Blocks = Stack<E, Stream, DoubleStreamBlock<E>, SingleStreamBlock<E>>;
  using Front = JointFront<E>;
  using Back = JointBack<E>;
  using Objective = PredictionLoss<E>;
  /// Its blocks read nothing together.
  struct Shared {
    Shared(const StageSetup<E>&, const Sizes&) {}
  };

  static std::string_view name() { return F::name; }
  static auto flavors() { return F::flavors(); }
  static int num_layers(const Sizes& sizes) { return sizes.double_blocks + sizes.single_blocks; }
  static void check(const Sizes&, const pipeline::StageLayers&) {}

  static void add_layer(Blocks& blocks, Declarations<E>& d, const Sizes& sizes, const Shared&, int l, const Mesh& mesh,
                        const UnitOptions& options) {
    const bool both = l >= sizes.double_blocks;
    const std::string name =
        both ? "single_blocks." + std::to_string(l - sizes.double_blocks) : "double_blocks." + std::to_string(l);
    if (both)
      blocks.template add<1>(d, name, mesh, options, d.in(name), sizes, Sizes::depth_std(l));
    else
      blocks.template add<0>(d, name, mesh, options, d.in(name), sizes, Sizes::depth_std(l));
  }

  template <template <class> class Array>
  static Batch<Array> empty_batch(const Sizes& s, index_t rows, index_t seq_len) {
    return {rows, seq_len, s.text_len, s.channels, s.text_channels, {}, {}, {}, {}};
  }
  static void describe(Context<E>& c, const ViewBatch<Joint>& batch) {
    c.streams[0] = {batch.rows, batch.image_len, {}, {}};
    c.streams[1] = {batch.rows, batch.text_len, {}, {}};
  }
  template <class Allocate>
  static Stream make_stream(const Context<E>& c, const Sizes& sizes, int tp_degree, Allocate&& allocate) {
    const auto rows = [&](std::size_t stream) {
      return allocate(Shape{c.sequences(stream).rows() / tp_degree, sizes.dim});
    };
    return {rows(0), rows(1), allocate(Shape{c.sequences().count, sizes.dim})};
  }
  static Objective default_objective() { return MeanSquaredError{}; }

  /// Of a latent. What an image's text costs is shared among its latents' rows as if it had as many.
  static FlopCount flops(const Sizes& s, double multiplied, index_t seq_len) {
    const double attention = 12.0 * num_layers(s) * static_cast<double>(s.dim * (seq_len + s.text_len));
    return {6 * multiplied + attention, 6 * multiplied + attention};
  }
  /// What makes the condition and what it makes is multiplied once an image, not for its rows.
  static double multiplied(const ParameterInfo& info, const Sizes&) {
    return info.name.find("modulation") != std::string::npos || info.name.starts_with("time_in") ? 0 : 1;
  }
};

}  // namespace ashlar::inline v0
