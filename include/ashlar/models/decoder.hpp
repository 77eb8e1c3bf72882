// DecoderStage: a run of layers of a decoder, perhaps with its embedding or its output, as one pipeline stage (one
// stage is the whole model). Runs the layers' blocks inside their units, forward and backward. Used by
// train/trainer.hpp. Read next: models/decoder_layers.hpp.
#pragma once

#include <memory>
#include <vector>

#include "ashlar/models/decoder_layers.hpp"
#include "ashlar/models/micro_batch_slot.hpp"

namespace ashlar::inline v0 {

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
  using Layers = DecoderLayers<E>;
  using BlockSaved = typename Layers::BlockSaved;
  using Slot = MicroBatchSlot<E, BlockSaved>;

  /// The residual stream: what crosses to the next stage, and its gradient.
  struct Boundary {
    View x;  // [N / tp, dim]
  };
  template <class F>
  static void streams(Boundary& b, F&& f) {
    f(b.x);
  }

  DecoderStage(const DecoderSizes& sizes, const pipeline::StageLayers& layers, const StageSetup<E>& setup)
      : dim_(sizes.dim),
        setup_(setup),
        model_(sizes, layers, setup),
        scratch_(setup.memory),
        loss_total_(setup.memory, {1}) {}
  DecoderStage(const DecoderStage&) = delete;
  DecoderStage& operator=(const DecoderStage&) = delete;

  void initialize(std::uint64_t seed) {
    for (auto& unit : model_.units) unit->initialize(setup_.queue, seed);
  }
  /// Units in the order of forward.
  const std::vector<std::unique_ptr<Unit<E>>>& units() const { return model_.units; }
  const std::vector<typename Layers::Buffer>& buffers() const { return model_.buffers; }
  bool has_output() const { return model_.output != nullptr; }

  // ---- a step ----

  void begin_step(const StepInput<E>& input) {
    input_ = input;
    done_ = 0;
    slots_.reset(input.micro_batches);
    loss_total_.zero(setup_.queue);
    if (input.training)
      for (auto& unit : model_.units) unit->begin_step(setup_.queue);
  }
  /// Makes the units' gradients the sums over all ranks.
  void finish_gradients() {
    for (auto& unit : model_.units) unit->finish();
  }
  /// After the optimizer: gathered parameters are stale, and routers rebalance.
  void finish_step() {
    for (auto& unit : model_.units) unit->invalidate();
    if constexpr (Layers::Kinds::has_moe)
      for (auto& layer : model_.layers)
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
    if (model_.embedding) {
      Unit<E>& unit = *model_.embedding_unit;
      unit.acquire();
      model_.prefetch(0);
      x = model_.embedding->forward(c);
      c.observe("tok_embeddings", x);
    }
    slot.saved.resize(model_.layers.size());
    slot.inputs.resize(model_.layers.size());
    View out;
    for (std::size_t i = 0; i < model_.layers.size(); ++i) {
      typename Context<E>::Path path(c, model_.layers[i].name);
      model_.acquire(i);
      model_.prefetch(i + 1);
      slot.inputs[i] = x;
      out = run_block(c, i, x, slot);
      x = out;
      // The last block before the loss is also the first of backward.
      if (!(input_.training && model_.output && i + 1 == model_.layers.size())) model_.release(i);
    }
    if (!model_.output) {
      if (model_.layers.empty() || !input_.training) {  // what is sent must be this micro-batch's own
        out = slot.arena.template push<T>({x.rows(), x.cols()});
        copy(x, out);
      }
      return {out};
    }
    model_.output_unit->acquire();
    if (input_.training) model_.output_unit->begin_gradient(setup_.queue);
    model_.output->forward(c, x, *input_.loss, loss_total_.view(), slot.output);
    if (!input_.training) slots_.release(m);
    return {};
  }

  Boundary backward(int m, Boundary d_out) { return run_backward(m, d_out, false); }
  Boundary backward_input(int m, Boundary d_out) { return run_backward(m, d_out, true); }
  void backward_weight(int m) {
    Slot& slot = slots_.at(m, setup_.memory);
    slot.deferred.run();
    ++done_;
    for (auto& unit : model_.units) unit->end_gradient(setup_.queue, last_micro_batch());
    finished(m, Slot::computed);
  }
  Boundary receive_buffer(int m, bool) {
    return {slots_.at(m, setup_.memory).arena.template push<T>({local_rows(), dim_})};
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
    c.tensor_parallel = setup_.mesh.group(Axis::tp);
    c.expert_parallel = setup_.mesh.group(Axis::ep);
    for (auto& unit : model_.units) unit->prefetch();
    model_.embedding_unit->acquire();
    ConstView x = model_.embedding->forward(c);
    BlockSaved saved;
    for (std::size_t i = 0; i < model_.layers.size(); ++i) {
      model_.acquire(i);
      x = forward_block(c, i, x, saved);
      model_.release(i);
    }
    model_.output_unit->acquire();
    cache.length += batch.seq_len;
    const index_t s = batch.seq_len;
    if (batch.batch == 1) return model_.output->logits(c, x, s - 1, 1);
    auto all = model_.output->logits(c, x, 0, batch.rows());
    return {all.row(s - 1), {batch.batch, all.cols()}, s * all.cols()};
  }

 private:
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
    c.tensor_parallel = setup_.mesh.group(Axis::tp);
    c.expert_parallel = setup_.mesh.group(Axis::ep);
    c.kept_arena = input_.training ? &slot.arena : nullptr;
    c.keep = setup_.keep;
    c.count_routing = input_.training;
    c.observer = input_.observer;
    c.phase = phase;
    c.assumed_routing = input_.assumed_routing;
    return c;
  }

  View forward_block(Context<E>& c, std::size_t i, ConstView x, BlockSaved& saved) {
    return model_.visit(i, saved, [&](auto& block, auto& s) { return block.forward(c, x, s); });
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
    View dy = slot.arena.template push<T>({local_rows(), dim_});
    if (model_.output) {
      ArenaScope inner(scratch_);
      c.recomputing = true;
      if (setup_.keep != Keep::all) model_.output->recompute(c, slot.output);
      c.recomputing = false;
      copy(model_.output->backward(c, slot.output), dy);
      end_gradient(*model_.output_unit, defer, last);
    } else {
      copy(d_out.x, dy);
    }
    for (std::size_t i = model_.layers.size(); i-- > 0;) {
      typename Context<E>::Path path(c, model_.layers[i].name);
      model_.acquire(i);
      if (i > 0) model_.prefetch(i - 1);
      model_.for_units(i, [&](Unit<E>& unit) { unit.begin_gradient(setup_.queue); });
      backward_block(c, i, dy, slot);
      model_.for_units(i, [&](Unit<E>& unit) { end_gradient(unit, defer, last); });
      model_.release(i);
    }
    if (model_.embedding) {
      model_.embedding_unit->begin_gradient(setup_.queue);
      model_.embedding->backward(c, dy);
      end_gradient(*model_.embedding_unit, defer, last);
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
        model_.visit(i, slot.saved[i], [&](auto& block, auto& s) { block.recompute(again, s); });
      } else {
        again.keep = Keep::all;
        forward_block(again, i, slot.inputs[i], slot.saved[i]);
      }
    }
    model_.visit(i, slot.saved[i], [&](auto& block, auto& s) { block.backward(c, dy, s); });
    if (!c.deferred) slot.arena.release(mark);
  }
  void end_gradient(Unit<E>& unit, bool deferred, bool last) {
    if (!deferred) unit.end_gradient(setup_.queue, last);
  }
  // A micro-batch's memory is free when it is computed and what it made has been taken by its neighbours.
  void finished(int m, unsigned what) {
    unsigned all = 0;
    if (input_.training) all |= Slot::computed;
    if (!model_.output) all |= Slot::output_sent;
    if (input_.training && !model_.embedding) all |= Slot::gradient_sent;
    if (slots_.finished(m, what, all)) slots_.release(m);
  }

  index_t dim_;
  StageSetup<E> setup_;
  Layers model_;
  Arena<D> scratch_;
  Tensor<double, D> loss_total_;

  StepInput<E> input_;
  MicroBatchSlots<E, BlockSaved> slots_;
  int done_ = 0;  // micro-batches whose gradients are complete
};

}  // namespace ashlar::inline v0
