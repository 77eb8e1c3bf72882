// DecoderLayers: what a pipeline stage of a decoder is made of. A closed set of block kinds, a table that says which
// layer is which, perhaps the embedding or the output, and the units that their parameters are laid out in. Used by
// models/decoder.hpp, which runs them. Read next: models/block.hpp, parallel/unit.hpp.
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "ashlar/mesh/mesh.hpp"
#include "ashlar/models/block.hpp"
#include "ashlar/models/sizes.hpp"
#include "ashlar/moe/moe.hpp"
#include "ashlar/nn/embedding.hpp"
#include "ashlar/nn/output_loss.hpp"
#include "ashlar/parallel/pipeline/split.hpp"
#include "ashlar/parallel/unit.hpp"

namespace ashlar::inline v0 {

namespace detail {

template <class E, class Kind>
struct FeedForwardKinds {
  static_assert(std::is_same_v<Kind, SwiGlu> || is_instance<Kind, MoE>,
                "Ffn<...> takes SwiGlu or MoE<Router, Experts>.");
  static_assert(!E::has(ep) || is_instance<Kind, MoE>,
                "Parallel<... * ep> spreads experts, but the recipe has none; write Ffn<MoE<...>> or leave ep out.");
  static constexpr bool has_moe = is_instance<Kind, MoE>;
  using Dense = TransformerBlock<E, SwiGluFeedForward<E>>;
};
template <class E, class Kind>
struct MoeBlock {
  using type = TransformerBlock<E, MixtureOfExperts<E, Kind>>;
};
template <class E>
struct MoeBlock<E, SwiGlu> {
  struct type {  // no layer has one
    struct Saved {};
  };
};

}  // namespace detail

/// What a stage is built with. All outlive it.
template <class E>
struct StageSetup {
  using D = typename E::Device;
  Memory<D>& memory;
  typename D::Queue& queue;
  const Mesh& mesh;
  index_t max_seq_len = 0;
  Keep keep = Keep::all;
  UnitOptions units;
};

/// The modules and units of a stage, in the order of forward. Owns them; not movable.
template <class E>
class DecoderLayers {
 public:
  using D = typename E::Device;
  using Kinds = detail::FeedForwardKinds<E, typename E::Recipe::FeedForward>;
  using DenseBlock = typename Kinds::Dense;
  using MoeBlock = typename detail::MoeBlock<E, typename E::Recipe::FeedForward>::type;
  using BlockSaved = std::variant<typename DenseBlock::Saved, typename MoeBlock::Saved>;
  using Buffer = typename Declarations<E>::Buffer;

  /// One row of the table: the block of whichever kind the layer is, and its units.
  struct Layer {
    std::string name;
    std::unique_ptr<DenseBlock> dense;
    std::unique_ptr<MoeBlock> moe;
    std::size_t first_unit, units;
  };

  /// Declares the parameters of the stage's part of the model and allocates its units. Throws ConfigError where the
  /// flavor has what the recipe lacks.
  DecoderLayers(const DecoderSizes& sizes, const pipeline::StageLayers& range, const StageSetup<E>& setup)
      : setup_(setup),
        sizes_(sizes),
        rope_(setup.memory, setup.queue, setup.max_seq_len, sizes.head_dim(), sizes.rope_theta) {
    if (sizes.tied && range.embedding != range.output)
      throw ConfigError(
          "a model with tied embeddings can't be cut by --parallelism.pipeline_parallel_degree: its table would "
          "be on two stages; use 1");
    declare(range);
    allocate();
  }
  DecoderLayers(const DecoderLayers&) = delete;
  DecoderLayers& operator=(const DecoderLayers&) = delete;

 private:
  // Above the units: one that ends while its exchange is under way waits for it, in a buffer that it has borrowed.
  std::optional<typename Unit<E>::ValuePool> value_pool_;
  std::optional<typename Unit<E>::GradientPool> gradient_pool_;

 public:
  std::unique_ptr<Embedding<E>> embedding;  // null on a stage that does not begin the model
  std::vector<Layer> layers;
  std::unique_ptr<OutputLoss<E>> output;  // null on a stage that does not end it
  std::vector<std::unique_ptr<Unit<E>>> units;
  Unit<E>* embedding_unit = nullptr;
  Unit<E>* output_unit = nullptr;
  std::vector<Buffer> buffers;

  /// f(block, saved) with the block of layer i, of whichever kind it is.
  template <class F>
  decltype(auto) visit(std::size_t i, BlockSaved& saved, F&& f) {
    Layer& layer = layers[i];
    if constexpr (Kinds::has_moe) {
      if (layer.moe) {
        if (saved.index() != 1) saved.template emplace<1>();
        return f(*layer.moe, std::get<1>(saved));
      }
    }
    if (saved.index() != 0) saved.template emplace<0>();
    return f(*layer.dense, std::get<0>(saved));
  }

  // ---- units around a layer ----

  template <class F>
  void for_units(std::size_t i, F&& f) {
    for (std::size_t u = 0; u < layers[i].units; ++u) f(*units[layers[i].first_unit + u]);
  }
  void acquire(std::size_t i) {
    for_units(i, [&](Unit<E>& unit) { unit.acquire(); });
  }
  void release(std::size_t i) {
    for_units(i, [&](Unit<E>& unit) { unit.release(); });
  }
  void prefetch(std::size_t i) {
    if (i < layers.size())
      for_units(i, [&](Unit<E>& unit) { unit.prefetch(); });
    else if (output)
      output_unit->prefetch();
  }

 private:
  void declare(const pipeline::StageLayers& range) {
    const auto place = [&](Axis axis) {
      return typename Declarations<E>::Place{setup_.mesh.coordinate(axis), setup_.mesh.degree(axis)};
    };
    Declarations<E> d(setup_.memory, setup_.queue, place(Axis::tp), place(Axis::ep));
    const UnitOptions ends{false, false};
    if (range.embedding) {
      embedding = std::make_unique<Embedding<E>>(d, "tok_embeddings", sizes_.vocab_size, sizes_.dim,
                                                 sizes_.tied ? output_initializer(sizes_.dim) : Initializer::normal(1));
      embedding_unit = add_unit(d.take(), ends);
    }
    for (int l = range.begin; l < range.end; ++l) {
      const std::string name = "layers." + std::to_string(l);
      Layer layer{name, nullptr, nullptr, units.size(), 0};
      {
        typename Declarations<E>::Scope scope(d, name);
        make_block(d, l, layer);
      }
      std::vector<typename Declarations<E>::Entry> block, experts;
      for (auto& e : d.take()) (e.info.expert ? experts : block).push_back(std::move(e));
      add_unit(std::move(block), setup_.units);
      if (!experts.empty()) add_unit(std::move(experts), setup_.units);
      layer.units = units.size() - layer.first_unit;
      layers.push_back(std::move(layer));
    }
    if (range.output) {
      output = std::make_unique<OutputLoss<E>>(d, sizes_.vocab_size, sizes_.dim, sizes_.norm_eps,
                                               sizes_.tied ? &embedding->weight() : nullptr);
      output_unit = add_unit(d.take(), ends);
    }
    buffers = d.take_buffers();
  }
  void make_block(Declarations<E>& d, int l, Layer& layer) {
    const AttentionSizes attention{sizes_.dim, sizes_.num_heads, sizes_.num_kv_heads, sizes_.head_dim()};
    const double std = DecoderSizes::depth_std(l);
    const int cached_as = static_cast<int>(layers.size());
    if (sizes_.is_moe(l)) {
      if constexpr (Kinds::has_moe) {
        using Experts = MixtureOfExperts<E, typename E::Recipe::FeedForward>;
        layer.moe = std::make_unique<MoeBlock>(
            d, attention, sizes_.norm_eps, cached_as, rope_, std, "moe",
            [&](Declarations<E>& inner) { return Experts(inner, sizes_.dim, sizes_.moe, std); });
        return;
      } else {
        throw ConfigError(concat("layer ", l,
                                 " of this flavor is a mixture of experts, but the recipe has Ffn<SwiGlu>; "
                                 "write Ffn<MoE<...>>"));
      }
    }
    layer.dense = std::make_unique<DenseBlock>(
        d, attention, sizes_.norm_eps, cached_as, rope_, std, "feed_forward",
        [&](Declarations<E>& inner) { return SwiGluFeedForward<E>(inner, sizes_.dim, sizes_.hidden_dim, std); });
  }
  Unit<E>* add_unit(std::vector<typename Declarations<E>::Entry> entries, const UnitOptions& options) {
    const bool experts = !entries.empty() && entries.front().info.expert;
    const Mesh& mesh = setup_.mesh;
    units.push_back(std::make_unique<Unit<E>>(
        std::move(entries),
        UnitGroups{mesh.group(experts ? Axis::efsdp : Axis::dp_shard), mesh.group(Axis::dp_replicate),
                   experts ? Communicator() : mesh.group(Axis::tp)},
        options));
    return units.back().get();
  }
  void allocate() {
    index_t largest = 0;
    for (auto& layer : layers)
      for (std::size_t u = 0; u < layer.units; ++u) largest = std::max(largest, units[layer.first_unit + u]->size());
    int most = 1;
    for (auto& layer : layers) most = std::max(most, static_cast<int>(layer.units));
    bool sharded = false;
    for (auto& unit : units) sharded |= unit->groups().shard.size() > 1;
    if (E::has(fsdp) && sharded) {
      if (setup_.units.reshard) value_pool_.emplace(setup_.memory, 2 * most, largest);
      if (setup_.units.reduce_each_micro_batch) gradient_pool_.emplace(setup_.memory, 2 * most, largest);
    }
    for (auto& unit : units)
      unit->allocate(setup_.memory, setup_.queue, value_pool_ ? &*value_pool_ : nullptr,
                     gradient_pool_ ? &*gradient_pool_ : nullptr);
  }

  StageSetup<E> setup_;
  DecoderSizes sizes_;
  RopeTable<E> rope_;
};

}  // namespace ashlar::inline v0
