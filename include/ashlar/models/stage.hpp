// Stage: a run of a model's layers, perhaps with what stands before them (embeddings) or behind (the output and its
// loss), as one pipeline stage; one stage is the whole model. Read next: models/stack.hpp, models/model.hpp.
#pragma once

#include <memory>
#include <vector>

#include "ashlar/data/batch.hpp"
#include "ashlar/models/model.hpp"
#include "ashlar/models/slot.hpp"
#include "ashlar/parallel/pipeline/split.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// One step's batch on this rank, and how it is cut into micro-batches of `rows` rows.
template <Model M>
struct StepInput {
  using E = typename M::Environment;
  using D = typename E::Device;
  ViewBatch<M> batch;
  int micro_batches = 1;
  index_t rows = 0;
  double loss_scale = 1;
  const typename M::Objective* objective = nullptr;
  bool training = true;
  Observer<D>* observer = nullptr;
  Routing assumed_routing = Routing::balanced;
  bool unordered_sums = false;
};

template <Model M>
class Stage {
 public:
  using E = typename M::Environment;
  using D = typename E::Device;
  using Queue = typename D::Queue;
  using Blocks = typename M::Blocks;
  using Front = typename M::Front;
  using Back = typename M::Back;
  using Buffer = typename Declarations<E>::Buffer;
  /// What crosses to the next stage, and its gradient.
  using Boundary = typename M::Stream;

  template <class F>
  static void streams(Boundary& b, F&& f) {
    Boundary::for_each_tensor([&](auto& x) { f(x); }, b);
  }

  /// Builds the layers of `range` and allocates their units. Throws ConfigError where the sizes have what the model
  /// lacks.
  Stage(const typename M::Sizes& sizes, const pipeline::StageLayers& range, const StageSetup<E>& setup)
      : sizes_(sizes), setup_(setup), shared_(setup, sizes), scratch_(setup.memory), loss_total_(setup.memory, {1}) {
    M::check(sizes, range);
    first_layer_ = range.begin;
    declare(range);
    if (front_unit_) front_unit_->allocate(setup.memory, setup.queue, nullptr, nullptr);
    blocks_.allocate(setup.memory, setup.queue);
    if (back_unit_) back_unit_->allocate(setup.memory, setup.queue, nullptr, nullptr);
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void initialize(std::uint64_t seed) {
    for (Unit<E>* unit : units_) unit->initialize(setup_.queue, seed);
  }
  /// In the order of forward.
  const std::vector<Unit<E>*>& units() const { return units_; }
  const std::vector<Buffer>& buffers() const { return buffers_; }
  Blocks& blocks() { return blocks_; }
  bool has_output() const { return back_ != nullptr; }

  // ---- a step ----

  void begin_step(const StepInput<M>& input) {
    input_ = input;
    done_ = 0;
    slots_.reset(input.micro_batches);
    loss_total_.zero(setup_.queue);
    if (input.training)
      for (Unit<E>* unit : units_) unit->begin_step(setup_.queue);
  }
  /// Makes the units' gradients the sums over all ranks.
  void finish_gradients() {
    for (Unit<E>* unit : units_) unit->finish();
  }
  /// After the optimizer: gathered parameters are stale, and routers rebalance.
  void finish_step() {
    for (Unit<E>* unit : units_) unit->invalidate();
    std::vector<Communicator::ReduceView<D>> counts;
    blocks_.for_each_block([&](auto& block) {
      if constexpr (requires { block.take_counts(setup_.queue); })
        if (const auto counted = block.take_counts(setup_.queue)) counts.push_back(counted);
    });
    if (!counts.empty())
      setup_.mesh.data_and_tensor().template all_reduce_each<D>(setup_.queue, counts).wait(setup_.queue);
    blocks_.for_each_block([&](auto& block) {
      if constexpr (requires { block.finish_step(setup_.queue); }) block.finish_step(setup_.queue);
    });
  }
  /// [1]: the summed loss of this rank's rows in the step, where the stage has the output.
  TensorView<double, D> loss_total() const { return loss_total_.view(); }

  // ---- pipeline::PipelineStage ----

  Boundary forward(int m, Boundary in) {
    Slot& slot = slots_.at(m, setup_.memory);
    Context<E> c = context(m, slot, Phase::forward);
    ArenaScope scope(scratch_);
    if (front_) {
      front_unit_->acquire();
      blocks_.prefetch(0, back_unit_.get());
      in = front_->forward(c, micro_batch(m), slot.saved.front);
    }
    Boundary out = blocks_.forward(c, in, slot.saved.blocks, back_unit_.get(), input_.training && back_);
    if (!back_) {
      if (blocks_.empty() || !input_.training) {  // what is sent must be this micro-batch's own
        const Boundary here = out;
        out = like(here, [&](const Shape& shape) { return slot.arena.template push<typename E::Compute>(shape); });
        copy(setup_.queue, here, out);
      }
      return out;
    }
    back_unit_->acquire();
    if (input_.training) back_unit_->begin_gradient(setup_.queue);
    back_->forward(c, out, micro_batch(m), *input_.objective, loss_total_.view(), slot.saved.back);
    if (!input_.training) slots_.release(m);
    return {};
  }

  Boundary backward(int m, Boundary d_out) { return run_backward(m, d_out, false); }
  Boundary backward_input(int m, Boundary d_out) { return run_backward(m, d_out, true); }
  void backward_weight(int m) {
    Slot& slot = slots_.at(m, setup_.memory);
    slot.deferred.run();
    ++done_;
    for (Unit<E>* unit : units_) unit->end_gradient(setup_.queue, last_micro_batch());
    finished(m, Slot::computed);
  }
  Boundary receive_buffer(int m, bool) { return boundary(slots_.at(m, setup_.memory)); }
  void sent(int m, bool gradient) { finished(m, gradient ? Slot::gradient_sent : Slot::output_sent); }

  // ---- generation ----

  /// One pass that keeps nothing but what it appends to the cache; then finish(context, back, stream). Both ends of the
  /// model are here. What finish returns is valid until the next call.
  template <class F>
  decltype(auto) infer(const ViewBatch<M>& batch, KeyValueCache<E>& cache, F&& finish) {
    scratch_.clear();
    Context<E> c(setup_.queue, scratch_);
    M::describe(c, batch);
    c.cache = &cache;
    join(c);
    for (Unit<E>* unit : units_) unit->prefetch();
    front_unit_->acquire();
    typename Front::Saved front;
    Boundary x = front_->forward(c, batch, front);
    typename Blocks::Saved saved;
    x = blocks_.forward(c, x, saved, nullptr, false);
    back_unit_->acquire();
    return finish(c, *back_, x);
  }

 private:
  struct Saved {
    typename Front::Saved front;
    typename Blocks::Saved blocks;
    typename Back::Saved back;
  };
  using Slot = MicroBatchSlot<E, Saved>;

  void declare(const pipeline::StageLayers& range) {
    const Mesh& mesh = setup_.mesh;
    const auto place = [&](Axis axis) {
      return typename Declarations<E>::Place{mesh.coordinate(axis), mesh.degree(axis)};
    };
    Declarations<E> d(setup_.memory, setup_.queue, place(Axis::tp), place(Axis::ep));
    d.adapt_by(setup_.lora);
    d.classify_by(setup_.classify);
    // The ends stay gathered for the step: the output is used last in forward and first in backward.
    const UnitOptions ends{false, false};
    if (range.embedding) {
      front_ = std::make_unique<Front>(d, sizes_);
      front_unit_ = make_unit<E>(d.take(), mesh, ends);
      units_.push_back(front_unit_.get());
    }
    for (int l = range.begin; l < range.end; ++l) M::add_layer(blocks_, d, sizes_, shared_, l, mesh, setup_.units);
    for (auto& unit : blocks_.units()) units_.push_back(unit.get());
    if (range.output) {
      back_ = std::make_unique<Back>(d, sizes_, front_.get());
      back_unit_ = make_unit<E>(d.take(), mesh, ends);
      units_.push_back(back_unit_.get());
    }
    buffers_ = d.take_buffers();
  }

  // ---- passes ----

  bool last_micro_batch() const { return done_ == input_.micro_batches; }
  ViewBatch<M> micro_batch(int m) const {
    ViewBatch<M> part = input_.batch;
    part.rows = input_.rows;
    ViewBatch<M>::for_each_array(
        part,
        [&](index_t per_row, auto& array) {
          if (array) array = array.range(m * input_.rows * per_row, input_.rows * per_row);
        },
        part);
    return part;
  }
  // A stream's tensors in the slot's memory, of this stage's micro-batches.
  Boundary boundary(Slot& slot) {
    Context<E> c(setup_.queue, scratch_);
    M::describe(c, micro_batch(0));
    return M::make_stream(c, sizes_, setup_.mesh.degree(Axis::tp),
                          [&](const Shape& shape) { return slot.arena.template push<typename E::Compute>(shape); });
  }

  void join(Context<E>& c) const {
    c.tensor_parallel = setup_.mesh.group(Axis::tp);
    c.expert_parallel = setup_.mesh.group(Axis::ep);
  }
  Context<E> context(int m, Slot& slot, Phase phase) {
    Context<E> c(setup_.queue, scratch_);
    M::describe(c, micro_batch(m));
    join(c);
    c.loss_scale = input_.loss_scale;
    c.kept_arena = input_.training ? &slot.arena : nullptr;
    c.keep = setup_.keep;
    c.count_routing = input_.training;
    c.observer = input_.observer;
    c.phase = phase;
    c.micro_batch = index_t{setup_.mesh.dp_rank()} * input_.micro_batches + m;
    c.micro_batches = index_t{setup_.mesh.dp_degree()} * input_.micro_batches;
    c.first_layer = first_layer_;
    c.assumed_routing = input_.assumed_routing;
    c.unordered_sums = input_.unordered_sums;
    return c;
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
    Boundary d = boundary(slot);
    if (back_) {
      ArenaScope inner(scratch_);
      c.recomputing = true;
      if (setup_.keep != Keep::all) back_->recompute(c, slot.saved.back);
      c.recomputing = false;
      copy(setup_.queue, back_->backward(c, slot.saved.back), d);
      if (!defer) back_unit_->end_gradient(setup_.queue, last);
    } else {
      copy(setup_.queue, d_out, d);
    }
    blocks_.backward(c, d, slot.saved.blocks, !defer, last);
    if (front_) {
      front_unit_->begin_gradient(setup_.queue);
      front_->backward(c, micro_batch(m), d, slot.saved.front);
      if (!defer) front_unit_->end_gradient(setup_.queue, last);
    }
    if (!defer) finished(m, Slot::computed);
    return d;
  }
  // A micro-batch's memory is free when it is computed and what it made has been taken by its neighbours.
  void finished(int m, unsigned what) {
    unsigned all = 0;
    if (input_.training) all |= Slot::computed;
    if (!back_) all |= Slot::output_sent;
    if (input_.training && !front_) all |= Slot::gradient_sent;
    if (slots_.finished(m, what, all)) slots_.release(m);
  }

  typename M::Sizes sizes_;
  int first_layer_ = 0;
  StageSetup<E> setup_;
  typename M::Shared shared_;  // what the blocks read together
  std::unique_ptr<Front> front_;
  Blocks blocks_;
  std::unique_ptr<Back> back_;
  std::unique_ptr<Unit<E>> front_unit_, back_unit_;
  std::vector<Unit<E>*> units_;
  std::vector<Buffer> buffers_;
  Arena<D> scratch_;
  Tensor<double, D> loss_total_;

  StepInput<M> input_;
  MicroBatchSlots<E, Saved> slots_;
  int done_ = 0;  // micro-batches whose gradients are complete
};

}  // namespace ashlar::inline v0
