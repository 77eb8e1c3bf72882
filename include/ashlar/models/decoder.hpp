// DecoderStage: a run of layers of a decoder, perhaps with its embedding or its output, as one pipeline stage (one
// stage is the whole model). A closed set of block kinds and a table that says which layer is which. Runs blocks inside
// their units. Used by train/trainer.hpp. Read next: models/block.hpp, parallel/unit.hpp.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "ashlar/mesh/mesh.hpp"
#include "ashlar/models/block.hpp"
#include "ashlar/models/micro_batch_slot.hpp"
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
  using type = std::monostate;
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

/// The tokens of one step on this rank, and how they are cut into micro-batches of `rows` sequences.
template <class E>
struct StepInput {
  using D = typename E::Device;
  TensorView<const std::int32_t, D> tokens, targets, document_start;  // [micro_batches * rows * seq_len]
  int micro_batches = 1;
  index_t rows = 0;
  index_t seq_len = 0;
  double loss_scale = 1;
  const LossFunction<E>* loss = nullptr;
  bool training = true;
  Observer<D>* observer = nullptr;
  Routing assumed_routing = Routing::balanced;
};

template <class E>
class DecoderStage {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using Queue = typename D::Queue;
  using View = TensorView<T, D>;
  using ConstView = TensorView<const T, D>;
  using Kinds = detail::FeedForwardKinds<E, typename E::Recipe::FeedForward>;
  using DenseBlock = typename Kinds::Dense;
  using MoeBlock = typename detail::MoeBlock<E, typename E::Recipe::FeedForward>::type;
  using BlockSaved =
      std::conditional_t<Kinds::has_moe,
                         std::variant<typename DenseBlock::Saved, typename detail::SavedOf<MoeBlock>::type>,
                         std::variant<typename DenseBlock::Saved>>;
  using Slot = MicroBatchSlot<E, BlockSaved>;

  /// The residual stream: what crosses to the next stage, and its gradient.
  struct Boundary {
    View x;  // [N / tp, dim]
  };
  template <class F>
  static void streams(Boundary& b, F&& f) {
    f(b.x.data(), b.x.count());
  }

  DecoderStage(const DecoderSizes& sizes, const pipeline::StageLayers& layers, const StageSetup<E>& setup)
      : sizes_(sizes),
        setup_(setup),
        scratch_(setup.memory),
        rope_(setup.memory, setup.queue, setup.max_seq_len, sizes.head_dim(), sizes.rope_theta),
        loss_total_(setup.memory, {1}) {
    if (sizes.tied && layers.embedding != layers.output)
      throw ConfigError(
          "a model with tied embeddings can't be cut by --parallelism.pipeline_parallel_degree: its table would "
          "be on two stages; use 1");
    declare(layers);
    allocate();
  }
  DecoderStage(const DecoderStage&) = delete;
  DecoderStage& operator=(const DecoderStage&) = delete;

  void initialize(std::uint64_t seed) {
    for (auto& unit : units_) unit->initialize(setup_.queue, seed);
  }
  /// Units in the order of forward.
  const std::vector<std::unique_ptr<Unit<E>>>& units() const { return units_; }
  const std::vector<typename Declarations<E>::Buffer>& buffers() const { return buffers_; }
  bool has_output() const { return output_ != nullptr; }

  // ---- a step ----

  void begin_step(const StepInput<E>& input) {
    input_ = input;
    done_ = 0;
    slots_.reset(input.micro_batches);
    loss_total_.zero(setup_.queue);
    if (input.training)
      for (auto& unit : units_) unit->begin_step(setup_.queue);
  }
  /// Makes the units' gradients the sums over all ranks.
  void finish_gradients() {
    for (auto& unit : units_) unit->finish(setup_.queue);
  }
  /// After the optimizer: gathered parameters are stale, and routers rebalance.
  void finish_step() {
    for (auto& unit : units_) unit->invalidate();
    if constexpr (Kinds::has_moe)
      for (auto& layer : layers_)
        if (layer.moe) layer.moe->feed_forward().finish_step(setup_.queue, setup_.mesh.data_and_tensor());
  }
  /// [1]: the summed loss of this rank's tokens in the step, where the stage has the output.
  TensorView<double, D> loss_total() const { return loss_total_.view(); }

  // ---- pipeline::PipelineStage ----

  Boundary forward(int m, Boundary in) {
    Slot& slot = slots_.at(m, setup_.memory);
    Context<E> c = context(m, slot, Phase::forward);
    ArenaScope scope(scratch_);
    ConstView x = in.x;
    if (embedding_) {
      Unit<E>& unit = *embedding_unit_;
      unit.acquire(setup_.queue);
      prefetch(0);
      x = embedding_->forward(c);
      c.observe("tok_embeddings", x);
    }
    slot.saved.resize(layers_.size());
    slot.inputs.resize(layers_.size());
    View out;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      typename Context<E>::Path path(c, layers_[i].name);
      acquire(i);
      prefetch(i + 1);
      slot.inputs[i] = x;
      out = run_block(c, i, x, slot);
      x = out;
      // The last block before the loss is also the first of backward.
      if (!(input_.training && output_ && i + 1 == layers_.size())) release(i);
    }
    if (!output_) {
      if (layers_.empty() || !input_.training) {  // what is sent must be this micro-batch's own
        out = slot.arena.template push<T>({x.rows(), x.cols()});
        copy(x, out);
      }
      return {out};
    }
    output_unit_->acquire(setup_.queue);
    if (input_.training) output_unit_->begin_gradient(setup_.queue);
    output_->forward(c, x, *input_.loss, loss_total_.view(), slot.output);
    if (!input_.training) slots_.release(m);
    return {};
  }

  Boundary backward(int m, Boundary d_out) { return run_backward(m, d_out, false); }
  Boundary backward_input(int m, Boundary d_out) { return run_backward(m, d_out, true); }
  void backward_weight(int m) {
    Slot& slot = slots_.at(m, setup_.memory);
    slot.deferred.run();
    ++done_;
    for (auto& unit : units_) unit->end_gradient(setup_.queue, last_micro_batch());
    finished(m, Slot::computed);
  }
  Boundary receive_buffer(int m, bool) {
    return {slots_.at(m, setup_.memory).arena.template push<T>({local_rows(), sizes_.dim})};
  }
  void sent(int m, bool gradient) { finished(m, gradient ? Slot::gradient_sent : Slot::output_sent); }

  // ---- generation ----

  /// The logits [B, V] (V / tp under tp) after the last token of each sequence; appends to the cache. Both ends are
  /// here. The view is valid until the next call.
  TensorView<A, D> next_logits(const MicroBatch<D>& batch, KeyValueCache<E>& cache) {
    scratch_.clear();
    Context<E> c(setup_.queue, scratch_);
    c.batch = batch;
    c.cache = &cache;
    c.tensor_parallel = setup_.mesh.communicator(Axis::tp);
    c.expert_parallel = setup_.mesh.communicator(Axis::ep);
    for (auto& unit : units_) unit->prefetch(setup_.queue);
    embedding_unit_->acquire(setup_.queue);
    ConstView x = embedding_->forward(c);
    BlockSaved saved;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      acquire(i);
      x = forward_block(c, i, x, saved);
      release(i);
    }
    output_unit_->acquire(setup_.queue);
    cache.length += batch.seq_len;
    const index_t s = batch.seq_len;
    if (batch.batch == 1) return output_->logits(c, x, s - 1, 1);
    auto all = output_->logits(c, x, 0, batch.rows());
    return {all.row(s - 1), {batch.batch, all.cols()}, s * all.cols()};
  }

 private:
  struct Layer {
    std::string name;
    std::unique_ptr<DenseBlock> dense;
    std::unique_ptr<MoeBlock> moe;
    std::size_t first_unit, units;
  };

  // ---- construction ----

  void declare(const pipeline::StageLayers& range) {
    const auto place = [&](Axis axis) {
      return typename Declarations<E>::Place{setup_.mesh.coordinate(axis), setup_.mesh.degree(axis)};
    };
    Declarations<E> d(setup_.memory, setup_.queue, place(Axis::tp), place(Axis::ep));
    const UnitOptions ends{false, false};
    if (range.embedding) {
      embedding_ = std::make_unique<Embedding<E>>(d, "tok_embeddings", sizes_.vocab_size, sizes_.dim);
      embedding_unit_ = add_unit("tok_embeddings", d.take(), ends);
    }
    for (int l = range.begin; l < range.end; ++l) {
      const std::string name = "layers." + std::to_string(l);
      Layer layer{name, nullptr, nullptr, units_.size(), 0};
      {
        typename Declarations<E>::Scope scope(d, name);
        make_block(d, l, layer);
      }
      std::vector<typename Declarations<E>::Entry> block, experts;
      for (auto& e : d.take()) (e.info.expert ? experts : block).push_back(std::move(e));
      add_unit(name, std::move(block), setup_.units);
      if (!experts.empty()) add_unit(name + ".moe.experts", std::move(experts), setup_.units);
      layer.units = units_.size() - layer.first_unit;
      layers_.push_back(std::move(layer));
    }
    if (range.output) {
      output_ = std::make_unique<OutputLoss<E>>(d, sizes_.vocab_size, sizes_.dim, sizes_.norm_eps,
                                                sizes_.tied ? &embedding_->weight() : nullptr);
      output_unit_ = add_unit("output", d.take(), ends);
    }
    buffers_ = d.take_buffers();
  }
  void make_block(Declarations<E>& d, int l, Layer& layer) {
    const AttentionSizes attention{sizes_.dim, sizes_.num_heads, sizes_.num_kv_heads, sizes_.head_dim()};
    const double std = DecoderSizes::depth_std(l);
    const int cached_as = static_cast<int>(layers_.size());
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
  Unit<E>* add_unit(std::string name, std::vector<typename Declarations<E>::Entry> entries,
                    const UnitOptions& options) {
    const bool experts = !entries.empty() && entries.front().info.expert;
    const Mesh& mesh = setup_.mesh;
    units_.push_back(std::make_unique<Unit<E>>(
        std::move(name), std::move(entries),
        UnitGroups{mesh.communicator(experts ? Axis::efsdp : Axis::dp_shard), mesh.communicator(Axis::dp_replicate),
                   experts ? Communicator() : mesh.communicator(Axis::tp)},
        options));
    return units_.back().get();
  }
  void allocate() {
    index_t largest = 0;
    for (auto& layer : layers_)
      for (std::size_t u = 0; u < layer.units; ++u) largest = std::max(largest, units_[layer.first_unit + u]->size());
    int most = 1;
    for (auto& layer : layers_) most = std::max(most, static_cast<int>(layer.units));
    bool sharded = false;
    for (auto& unit : units_) sharded |= unit->groups().shard.size() > 1;
    if (E::has(fsdp) && sharded) {
      if (setup_.units.reshard) value_pool_.emplace(setup_.memory, 2 * most, largest);
      if (setup_.units.reduce_each_micro_batch) gradient_pool_.emplace(setup_.memory, 2 * most, largest);
    }
    for (auto& unit : units_)
      unit->allocate(setup_.memory, setup_.queue, value_pool_ ? &*value_pool_ : nullptr,
                     gradient_pool_ ? &*gradient_pool_ : nullptr);
  }

  // ---- passes ----

  index_t local_rows() const { return input_.rows * input_.seq_len / setup_.mesh.degree(Axis::tp); }
  bool last_micro_batch() const { return done_ == input_.micro_batches; }
  void copy(ConstView from, View to) {
    D::copy(setup_.queue, to.data(), from.data(), static_cast<std::size_t>(from.count()) * sizeof(T));
  }

  Context<E> context(int m, Slot& slot, Phase phase) {
    Context<E> c(setup_.queue, scratch_);
    const index_t n = input_.rows * input_.seq_len;
    const auto part = [&](TensorView<const std::int32_t, D> all) {
      return all ? TensorView<const std::int32_t, D>(D::has_storage ? all.data() + m * n : nullptr, {n}) : all;
    };
    c.batch = {input_.rows,      input_.seq_len, part(input_.tokens), part(input_.targets), part(input_.document_start),
               input_.loss_scale};
    c.tensor_parallel = setup_.mesh.communicator(Axis::tp);
    c.expert_parallel = setup_.mesh.communicator(Axis::ep);
    c.kept_arena = input_.training ? &slot.arena : nullptr;
    c.keep = setup_.keep;
    c.count_routing = input_.training;
    c.observer = input_.observer;
    c.phase = phase;
    c.assumed_routing = input_.assumed_routing;
    return c;
  }

  template <class F>
  decltype(auto) visit(std::size_t i, BlockSaved& saved, F&& f) {
    Layer& layer = layers_[i];
    if constexpr (Kinds::has_moe) {
      if (layer.moe) {
        if (saved.index() != 1) saved.template emplace<1>();
        return f(*layer.moe, std::get<1>(saved));
      }
    }
    if (saved.index() != 0) saved.template emplace<0>();
    return f(*layer.dense, std::get<0>(saved));
  }
  View forward_block(Context<E>& c, std::size_t i, ConstView x, BlockSaved& saved) {
    return visit(i, saved, [&](auto& block, auto& s) { return block.forward(c, x, s); });
  }
  // The block's output: kept where something is kept, and otherwise in scratch until the stage's pass ends.
  View run_block(Context<E>& c, std::size_t i, ConstView x, Slot& slot) {
    if (c.saving() && setup_.keep != Keep::inputs) return forward_block(c, i, x, slot.saved[i]);
    View out = c.saving() ? c.template kept<T>({x.rows(), x.cols()}) : c.template scratch<T>({x.rows(), x.cols()});
    ArenaScope scope(scratch_);
    Context<E> once = c;
    once.kept_arena = nullptr;
    copy(forward_block(once, i, x, slot.saved[i]), out);
    return out;
  }

  Boundary run_backward(int m, Boundary d_out, bool defer) {
    Slot& slot = slots_.at(m, setup_.memory);
    Context<E> c = context(m, slot, Phase::backward);
    if (defer)
      c.deferred = &slot.deferred;
    else
      ++done_;
    const bool last = last_micro_batch();
    ArenaScope scope(scratch_);
    View dy = slot.arena.template push<T>({local_rows(), sizes_.dim});
    if (output_) {
      ArenaScope inner(scratch_);
      c.recomputing = true;
      if (setup_.keep != Keep::all) output_->recompute(c, slot.output);
      c.recomputing = false;
      copy(output_->backward(c, slot.output), dy);
      end_gradient(*output_unit_, defer, last);
    } else {
      copy(d_out.x, dy);
    }
    for (std::size_t i = layers_.size(); i-- > 0;) {
      typename Context<E>::Path path(c, layers_[i].name);
      acquire(i);
      if (i > 0) prefetch(i - 1);
      for_units(i, [&](Unit<E>& unit) { unit.begin_gradient(setup_.queue); });
      backward_block(c, i, dy, slot);
      for_units(i, [&](Unit<E>& unit) { end_gradient(unit, defer, last); });
      release(i);
    }
    if (embedding_) {
      embedding_unit_->begin_gradient(setup_.queue);
      embedding_->backward(c, dy);
      end_gradient(*embedding_unit_, defer, last);
    }
    if (!defer) finished(m, Slot::computed);
    return {dy};
  }
  void backward_block(Context<E>& c, std::size_t i, View dy, Slot& slot) {
    ArenaScope scope(scratch_);
    const auto mark = slot.arena.mark();
    if (setup_.keep != Keep::all) {
      Context<E> again = c;
      again.phase = Phase::forward;
      again.observer = nullptr;
      again.count_routing = false;
      if (setup_.keep == Keep::selected) {
        again.recomputing = true;
        visit(i, slot.saved[i], [&](auto& block, auto& s) { block.recompute(again, s); });
      } else {
        again.keep = Keep::all;
        forward_block(again, i, slot.inputs[i], slot.saved[i]);
      }
    }
    visit(i, slot.saved[i], [&](auto& block, auto& s) { block.backward(c, dy, s); });
    if (!c.deferred) slot.arena.release(mark);
  }
  void end_gradient(Unit<E>& unit, bool deferred, bool last) {
    if (!deferred) unit.end_gradient(setup_.queue, last);
  }
  // A micro-batch's memory is free when it is computed and what it made has been taken by its neighbours.
  void finished(int m, unsigned what) {
    unsigned all = 0;
    if (input_.training) all |= Slot::computed;
    if (!output_) all |= Slot::output_sent;
    if (input_.training && !embedding_) all |= Slot::gradient_sent;
    if (slots_.finished(m, what, all)) slots_.release(m);
  }

  // ---- units around a layer ----

  template <class F>
  void for_units(std::size_t i, F&& f) {
    for (std::size_t u = 0; u < layers_[i].units; ++u) f(*units_[layers_[i].first_unit + u]);
  }
  void acquire(std::size_t i) {
    for_units(i, [&](Unit<E>& unit) { unit.acquire(setup_.queue); });
  }
  void release(std::size_t i) {
    for_units(i, [&](Unit<E>& unit) { unit.release(); });
  }
  void prefetch(std::size_t i) {
    if (i < layers_.size())
      for_units(i, [&](Unit<E>& unit) { unit.prefetch(setup_.queue); });
    else if (output_)
      output_unit_->prefetch(setup_.queue);
  }

  DecoderSizes sizes_;
  StageSetup<E> setup_;
  Arena<D> scratch_;
  RopeTable<E> rope_;
  Tensor<double, D> loss_total_;

  std::unique_ptr<Embedding<E>> embedding_;
  std::vector<Layer> layers_;
  std::unique_ptr<OutputLoss<E>> output_;
  std::vector<std::unique_ptr<Unit<E>>> units_;
  Unit<E>* embedding_unit_ = nullptr;
  Unit<E>* output_unit_ = nullptr;
  std::optional<typename Unit<E>::ValuePool> value_pool_;
  std::optional<typename Unit<E>::GradientPool> gradient_pool_;
  std::vector<typename Declarations<E>::Buffer> buffers_;

  StepInput<E> input_;
  MicroBatchSlots<E, BlockSaved> slots_;
  int done_ = 0;  // micro-batches whose gradients are complete
};

}  // namespace ashlar::inline v0
