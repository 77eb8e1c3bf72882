// Unit: the parameters that are gathered, reduced and optimized together, one unit a block. It decides what happens
// around a block: nothing on one rank, an all-reduce of gradients under ddp, gathers and reduce-scatters under fsdp,
// both combined. Zhao et al. 2023, "PyTorch FSDP", arXiv:2304.11277. Modules can't tell the difference. In a step
// nothing here waits for the queue: an exchange does (comm/staged.hpp), and on one rank there is none. Read
// next: tensor/unit_layout.hpp, optim/rule.hpp.
#pragma once

#include <optional>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/core/environment.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/initial_values/initial_values.hpp"
#include "ashlar/parallel/buffer_pool.hpp"
#include "ashlar/tensor/tensor.hpp"
#include "ashlar/tensor/unit_layout.hpp"

namespace ashlar::inline v0 {

/// Over whom a unit's parameters are spread and its gradients summed.
struct UnitGroups {
  Communicator shard;      // dp_shard; efsdp for experts: each rank holds an equal range
  Communicator replicate;  // dp_replicate
  Communicator tensor;  // tp: gradients of parameters that tp does not cut are partial sums. Group of one for experts
};

struct UnitOptions {
  bool reshard = true;  // give gathered parameters back after use; false: hold them until the optimizer's step
  bool reduce_each_micro_batch = true;  // false: gradients pile up whole until the step's last micro-batch
};

template <class E>
class Unit {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using Queue = typename D::Queue;
  using Entries = std::vector<typename Declarations<E>::Entry>;
  using ValuePool = BufferPool<T, D>;
  using GradientPool = BufferPool<A, D>;

  /// Lays the declared parameters out; allocates nothing. The modules must outlive the unit.
  Unit(Entries entries, UnitGroups groups, const UnitOptions& options) : groups_(std::move(groups)), options_(options) {
    if constexpr (!E::has(fsdp)) options_.reshard = false;
    std::vector<UnitLayout::Entry> laid_out;
    for (auto& e : entries) {
      bool cut_by_tp = e.info.expert;
      for (const Shard& s : e.info.shards) cut_by_tp |= s.axis == Axis::tp;
      laid_out.push_back({e.info, e.local_shape, e.local_offset, 0, groups_.tensor.size() > 1 && !cut_by_tp});
    }
    layout_ = UnitLayout(std::move(laid_out), groups_.shard.size());
    for (const auto& e : layout_.entries())  // the layout may have reordered
      for (auto& d : entries)
        if (d.info.name == e.info.name) parameters_.push_back(d.parameter);
  }
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  /// Allocates master weights, gradients and what stays for good. Pools: of at least size() elements (values; used when
  /// the unit reshards) and layout().trained().size (gradients; when it reduces each micro-batch).
  void allocate(Memory<D>& memory, Queue& queue, ValuePool* values, GradientPool* gradients) {
    values_ = values;
    gradients_ = gradients;
    queue_ = &queue;
    const index_t gradients_held = pooled_gradients() ? shard_size() : trained().size;
    master_and_gradient_ = Tensor<A, D>(memory, {shard_size() + gradients_held});
    D::fill_zero(queue, master().data(), bytes(shard_size()));  // also what lies between the parameters
    sum_ = master_and_gradient_.view().range(shard_size(), gradients_held);
    if constexpr (!std::is_same_v<T, A>)
      if (memory.template width<T>() != sizeof(A)) compute_ = Tensor<T, D>(memory, {shard_size()});
    if (frozen().size > 0) {
      frozen_ = Tensor<T, D>(memory, {frozen().shard_size()});
      frozen_.zero(queue);
    }
    if (sharded() && !pooled_values()) resident_ = Tensor<T, D>(memory, {size()});
    if (!sharded()) bind_values(compute_shard(), frozen_.data());
    if (!pooled_gradients()) bind_gradients(sum_.data());
  }
  /// Draws this rank's range of the initial values.
  void initialize(Queue& queue, std::uint64_t seed) {
    if constexpr (D::has_storage) {
      draw(queue, seed, shard_begin(), master());
      draw(queue, seed, frozen_begin(), frozen_values());
      D::synchronize(queue);
      publish(queue);
    }
  }
  /// Makes what is computed with follow the master weights: after initialisation and after a load.
  void publish(Queue& queue) {
    if constexpr (!std::is_same_v<T, A> && D::has_storage)
      ops::cast<A, T>(queue, TensorView<const A, D>(master()), compute_.view());
    invalidate();
  }

  const UnitLayout& layout() const { return layout_; }
  const UnitGroups& groups() const { return groups_; }
  index_t size() const { return layout_.size(); }
  /// This rank's range of what is trained: how long it is, and where it begins in the unit's flat range.
  index_t shard_size() const { return trained().shard_size(); }
  index_t shard_begin() const { return trained().shard_begin(groups_.shard.rank()); }
  /// Where its range of what is frozen begins.
  index_t frozen_begin() const { return frozen().shard_begin(groups_.shard.rank()); }
  TensorView<A, D> master() const { return {master_and_gradient_.data(), {shard_size()}}; }  // [shard_size]
  TensorView<T, D> compute_copy() const { return compute_.view(); }                          // [shard_size], or empty
  TensorView<T, D> frozen_values() const { return frozen_.view(); }  // [layout().frozen().shard_size()], or empty
  TensorView<A, D> gradient() const {                                // [shard_size], valid after finish
    return sum_.range(sharded() && !pooled_gradients() ? shard_begin() : 0, shard_size());
  }

  // ---- around a block ----

  /// Starts to gather the parameters, if there is room. They may be asked for by acquire().
  void prefetch() {
    if constexpr (E::has(fsdp)) {
      if (!sharded() || state_ != State::absent) return;
      if (pooled_values() && (slot_ = values_->try_take([this] { drop(); })) < 0) return;
      start_gather();
    }
  }
  /// Makes the parameters' values valid until release().
  void acquire() {
    if constexpr (E::has(fsdp)) {
      if (!sharded()) return;
      if (state_ == State::absent) {
        if (pooled_values()) slot_ = values_->take(nullptr);
        start_gather();
      }
      if (state_ == State::gathering) {
        wait_for_gather();
        bind_values(gathered(), D::has_storage ? gathered() + trained().size : nullptr);
        state_ = State::present;
      }
      if (pooled_values()) values_->pin(slot_);
    }
  }
  void release() {
    if constexpr (E::has(fsdp))
      if (pooled_values() && state_ != State::absent) drop();
  }

  /// Makes the gradients valid to accumulate into until end_gradient().
  void begin_gradient(Queue& queue) {
    if constexpr (E::has(fsdp)) {
      if (!pooled_gradients() || trained().size == 0) return;
      settle();  // the micro-batch before this one
      gradient_slot_ = gradients_->take(nullptr);
      A* data = gradients_->data(gradient_slot_);
      D::fill_zero(queue, data, bytes(trained().size));
      bind_gradients(data);
    }
  }
  /// The micro-batch's gradients are complete; `last`: the step's too. Starts their reduction.
  void end_gradient([[maybe_unused]] Queue& queue, bool last) {
    if (trained().size == 0) return;
    if constexpr (E::has(fsdp)) {
      if (pooled_gradients()) {
        A* data = gradients_->data(gradient_slot_);
        gradient_request_ = reduce_scatter(queue, data);
        reducing_ = &queue;
        gradients_->on_demand(gradient_slot_, [this] { settle(); });
        return;
      }
      if (last && sharded()) {
        gradient_request_ = reduce_scatter(queue, sum_.data());
        return;
      }
    }
    if constexpr (E::has(ddp))
      if (last && !sharded() && groups_.replicate.size() > 1)
        gradient_request_ = groups_.replicate.all_reduce(queue, sum_);
  }

  // ---- around a step ----

  void begin_step(Queue& queue) {
    // What a step that was interrupted has left: values in use, a reduction under way, a gradient begun.
    if (pooled_values()) invalidate();
    settle();
    gradient_request_.wait();
    if (gradient_slot_ >= 0) gradients_->release(std::exchange(gradient_slot_, -1));
    D::fill_zero(queue, sum_.data(), bytes(sum_.count()));
  }
  /// Waits for the reductions and makes gradient() the sum over all ranks. Collective, units in one order on all ranks.
  void finish() {
    if (trained().size == 0) return;
    settle();
    gradient_request_.wait();
    if constexpr (E::has(ddp))
      if (sharded() && groups_.replicate.size() > 1) groups_.replicate.all_reduce(*queue_, gradient()).wait(*queue_);
    if constexpr (E::has(tp)) {
      const auto [begin, end] = partial_range();
      if (groups_.tensor.size() > 1 && begin < end)
        groups_.tensor.all_reduce(*queue_, gradient().range(begin, end - begin)).wait(*queue_);
    }
  }
  /// The optimizer has changed the master weights and the compute copy: what was gathered is stale.
  void invalidate() {
    if (state_ != State::absent) drop();
  }

  /// The part of gradient() that is alike on all ranks of tp, as a range of the shard.
  std::pair<index_t, index_t> partial_range() const {
    return {trained().cut_by_tp(groups_.shard.rank()), shard_size()};
  }

 private:
  enum class State { absent, gathering, present };

  static std::size_t bytes(index_t n) { return static_cast<std::size_t>(n) * sizeof(A); }
  const UnitPart& trained() const { return layout_.trained(); }
  const UnitPart& frozen() const { return layout_.frozen(); }
  bool sharded() const { return E::has(fsdp) && groups_.shard.size() > 1; }
  bool pooled_values() const { return sharded() && options_.reshard; }
  bool pooled_gradients() const { return sharded() && options_.reduce_each_micro_batch; }
  A* shard_of(A* all) const { return D::has_storage ? all + shard_begin() : all; }
  T* compute_shard() const {
    if constexpr (std::is_same_v<T, A>)
      return master().data();
    else
      return compute_.data();
  }
  T* gathered() const { return pooled_values() ? values_->data(slot_) : resident_.data(); }

  void start_gather() {
    const TensorView<T, D> all(gathered(), {size()});
    if (trained().size > 0)
      request_ = groups_.shard.template all_gather<T, D>(*queue_, TensorView<T, D>(compute_shard(), {shard_size()}),
                                                         all.range(0, trained().size));
    if (frozen().size > 0)
      frozen_request_ =
          groups_.shard.template all_gather<T, D>(*queue_, frozen_values(), all.range(frozen().begin, frozen().size));
    state_ = State::gathering;
  }
  void wait_for_gather() {
    request_.wait();
    frozen_request_.wait();
  }
  Request reduce_scatter(Queue& queue, A* all) {
    return groups_.shard.template reduce_scatter<A, D>(queue, TensorView<A, D>(all, {trained().size}),
                                                       {shard_of(all), {shard_size()}});
  }
  void drop() {
    wait_for_gather();
    if (pooled_values()) values_->release(slot_);
    state_ = State::absent;
  }
  // Adds the reduced range of the micro-batch under way to the step's gradient.
  void settle() {
    if (!reducing_) return;
    gradient_request_.wait();
    TensorView<A, D> part(shard_of(gradients_->data(gradient_slot_)), {shard_size()});
    ops::add<A>(*reducing_, sum_, part, sum_);
    gradients_->release(std::exchange(gradient_slot_, -1));
    reducing_ = nullptr;
  }
  // Draws the initial values of the flat range that begins at `begin`, on the device, in Acc<U>.
  template <class U>
  void draw(Queue& queue, std::uint64_t seed, index_t begin, TensorView<U, D> values) {
    if (!values) return;
    layout_.for_each_box(begin, begin + values.count(), [&](const Box& box) {
      const auto& info = layout_.entries()[box.parameter].info;
      const InitialValues initial(info.initializer, seed, info.name);
      U* const target = values.data() + (box.begin - begin);
      for_each_run(info.shape, box, [&](index_t logical, index_t local, index_t n) {
        ops::draw<U, D>(queue, initial, logical, {target + local, {n}});
      });
    });
  }
  void bind_values(T* trained_values, T* frozen_values) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const auto& e = layout_.entries()[i];
      T* const base = e.info.trainable ? trained_values : frozen_values;
      const index_t at = e.begin - (e.info.trainable ? 0 : frozen().begin);
      parameters_[i]->value = {D::has_storage ? base + at : nullptr, e.local_shape};
    }
  }
  void bind_gradients(A* base) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const auto& e = layout_.entries()[i];
      if (e.info.trainable) parameters_[i]->gradient = {D::has_storage ? base + e.begin : nullptr, e.local_shape};
    }
  }

  UnitGroups groups_;
  UnitOptions options_;
  UnitLayout layout_;
  std::vector<Parameter<E>*> parameters_;  // in the layout's order

  Tensor<A, D> master_and_gradient_;  // of this rank's range of what is trained, and sum_
  TensorView<A, D> sum_;              // the step's gradient: of this rank's range, or of all where gradients pile up
  Tensor<T, D> compute_;              // this rank's range, rounded; empty where T is A
  Tensor<T, D> frozen_;               // this rank's range of what is frozen
  Tensor<T, D> resident_;             // all ranges, where they are not given back

  ValuePool* values_ = nullptr;
  GradientPool* gradients_ = nullptr;
  Queue* queue_ = nullptr;  // on which the unit is used
  State state_ = State::absent;
  int slot_ = -1, gradient_slot_ = -1;
  Request request_, frozen_request_, gradient_request_;
  Queue* reducing_ = nullptr;
};

}  // namespace ashlar::inline v0
