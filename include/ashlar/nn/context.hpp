// Context: what a module is given besides its input. The queue, the arenas, the micro-batch, the communicators that it
// may use, what to keep, what to defer, and who watches. Read next: nn/linear.hpp, nn/swiglu.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/core/environment.hpp"
#include "ashlar/nn/attention/cache.hpp"
#include "ashlar/nn/observer.hpp"
#include "ashlar/nn/sequences.hpp"
#include "ashlar/tensor/arena.hpp"

namespace ashlar::inline v0 {

/// What activation checkpointing keeps; the run-time choice among the recipe's ActivationCheckpoint<...>.
enum class Keep { all, selected, inputs };

/// What `plan` assumes where routing decides a size: an even spread, or everything coming to this rank.
enum class Routing { balanced, worst };

/// Weight gradients put off: run in order by DeferredGradients::run.
class DeferredGradients {
 public:
  void push(std::function<void()> work) { work_.push_back(std::move(work)); }
  void run() {
    for (auto& work : work_) work();
    work_.clear();
  }
  bool empty() const { return work_.empty(); }

 private:
  std::vector<std::function<void()>> work_;
};

/// One micro-batch's passage through the modules of one stage. Made anew for each pass; owns nothing.
///
/// A module allocates what it returns, then opens an ArenaScope for its temporaries. Four kinds of memory:
///   kept          what backward reads and can't be made again cheaply
///   recomputable  what backward reads, but `recompute` can make again: kept only under Keep::all
///   operand       the two factors of a weight gradient, in backward: outlives the pass when gradients are deferred
///   scratch       gone when the caller's scope ends
template <class E>
class Context {
 public:
  using Device = typename E::Device;
  using Queue = typename Device::Queue;
  using Compute = typename E::Compute;
  template <class T>
  using View = TensorView<T, Device>;

  Context(Queue& q, Arena<Device>& scratch_arena) : queue(q), scratch_arena_(&scratch_arena) {}

  Queue& queue;
  std::array<Sequences<Device>, 2> streams;  // of text the first alone
  double loss_scale = 1;                     // what gradients of the loss are multiplied by: 1 / what the step counts
  Communicator tensor_parallel;              // group of one without tp
  Communicator expert_parallel;              // group of one without ep
  Arena<Device>* kept_arena = nullptr;       // null: nothing is kept (evaluation)
  Keep keep = Keep::all;
  bool recomputing = false;               // a recompute inside backward
  DeferredGradients* deferred = nullptr;  // not null: weight gradients are put off
  KeyValueCache<E>* cache = nullptr;      // not null: generation, one pass after another
  Observer<Device>* observer = nullptr;
  Phase phase = Phase::forward;
  index_t micro_batch = 0, micro_batches = 1;   // of the step's, over all ranks that share the batch
  int first_layer = 0;                          // of the stage
  bool count_routing = false;                   // routers count tokens: in training, and once
  Routing assumed_routing = Routing::balanced;  // on Meta only
  bool unordered_sums = false;                  // sums by atomics may differ in their last bits from run to run

  /// What the rows of a stream are.
  const Sequences<Device>& sequences(std::size_t stream = 0) const { return streams[stream]; }
  bool saving() const { return kept_arena != nullptr; }
  Arena<Device>& scratch_arena() { return *scratch_arena_; }

  template <class T = Compute>
  View<T> kept(const Shape& shape) {
    return (kept_arena ? *kept_arena : *scratch_arena_).template push<T>(shape);
  }
  template <class T = Compute>
  View<T> recomputable(const Shape& shape) {
    const bool keep_it = recomputing ? deferred != nullptr : keep == Keep::all;
    return (kept_arena && keep_it ? *kept_arena : *scratch_arena_).template push<T>(shape);
  }
  template <class T = Compute>
  View<T> operand(const Shape& shape) {
    return (deferred ? *kept_arena : *scratch_arena_).template push<T>(shape);
  }
  template <class T = Compute>
  View<T> scratch(const Shape& shape) {
    return scratch_arena_->template push<T>(shape);
  }

  /// Whether the compute type is stored as the master type is, so that memory of one serves as the other.
  bool computes_in_master() const {
    return scratch_arena_->memory().template width<Compute>() == sizeof(typename E::Master);
  }

  /// Runs `work`, which accumulates a weight gradient, now or with the deferred ones.
  template <class F>
  void weight_gradient(F&& work) {
    if (deferred)
      deferred->push(std::forward<F>(work));
    else
      work();
  }
  /// A tensor that is an operand of a weight gradient but lives in memory that may change before the gradient is
  /// computed: itself, or a copy when gradients are deferred.
  template <class T>
  View<const T> stable(View<const T> x) {
    if (!deferred) return x;
    View<T> copy = kept_arena->template push<T>(x.shape());
    Device::copy(queue, copy.data(), x.data(), static_cast<std::size_t>(x.count()) * sizeof(T));
    return copy;
  }

  /// Shows a tensor to the observer under the current path. What routing has permuted has no place: mixtures of experts
  /// show what goes in and what comes out.
  template <class T>
  void observe(std::string_view name, const View<T>& x, const Place& place) {
    if constexpr (Device::has_storage)
      if (observer) [[unlikely]]
        show(path_ + std::string(name), dtype_of<T>, x.data(), x.shape(), x.row_stride(), place);
  }
  /// Names observed while it lives begin with `name` and a dot.
  class Path {
   public:
    Path(Context& c, std::string_view name) : c_(c), length_(c.path_.size()) {
      if (c.observer) (c.path_ += name) += '.';
    }
    ~Path() { c_.path_.resize(length_); }
    Path(const Path&) = delete;
    Path& operator=(const Path&) = delete;

   private:
    Context& c_;
    std::size_t length_;
  };

 private:
  void show(const std::string& name, DType dtype, const void* data, const Shape& shape, index_t row_stride,
            const Place& place) {
    // The first of n elements in a dimension, and how many the micro-batch has.
    struct Range {
      index_t first, whole;
    };
    const auto range = [&](index_t n, std::optional<Axis> over) -> Range {
      if (!over) return {0, n};
      const Communicator& group = *over == Axis::ep ? expert_parallel : tensor_parallel;
      return {n * group.rank(), n * group.size()};
    };
    const index_t columns = shape[-1], n = shape.count() / std::max(columns, index_t{1});
    Range rows = range(n, place.rows_over);
    if (place.rows_of_chunks > 0) rows = {place.first_row, place.rows_of_chunks};
    const Range across = range(columns, place.columns_over);
    observer->see(queue, {name,
                          phase,
                          data,
                          dtype,
                          shape,
                          row_stride,
                          {rows.whole * micro_batches, across.whole},
                          {{rows.whole * micro_batch + rows.first, across.first}, {n, columns}},
                          place.sum_over,
                          tensor_parallel.rank() > 0 && place.rows_over != Axis::tp && place.columns_over != Axis::tp,
                          micro_batch,
                          first_layer});
  }

  Arena<Device>* scratch_arena_;
  std::string path_;
};

}  // namespace ashlar::inline v0
