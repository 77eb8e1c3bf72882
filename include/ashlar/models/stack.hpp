// Stack: a run of blocks inside their units, forward and backward. A closed set of block kinds, and a list that says
// which layer is which; it knows neither a decoder nor what flows through it. Read next: models/stream.hpp,
// parallel/unit.hpp.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "ashlar/mesh/mesh.hpp"
#include "ashlar/models/stream.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/parallel/unit.hpp"

namespace ashlar::inline v0 {

/// A block turns a stream into the next block's. `forward` returns what backward of the next one reads, so kept;
/// `recompute` makes again what Keep::selected dropped; `backward` makes the gradient of the output that of the input,
/// in place.
template <class B, class E, class Stream>
concept Block = requires(B b, Context<E>& c, const Stream& in, Stream& d, typename B::Saved& saved) {
  { b.forward(c, in, saved) } -> std::same_as<Stream>;
  b.recompute(c, saved);
  b.backward(c, d, saved);
};

/// The unit of parameters declared together, over the groups that they are spread over: experts have their own.
template <class E>
std::unique_ptr<Unit<E>> make_unit(std::vector<typename Declarations<E>::Entry> entries, const Mesh& mesh,
                                   const UnitOptions& options) {
  const bool experts = !entries.empty() && entries.front().info.expert;
  return std::make_unique<Unit<E>>(
      std::move(entries),
      UnitGroups{mesh.group(experts ? Axis::efsdp : Axis::dp_shard), mesh.group(Axis::dp_replicate),
                 experts ? Communicator() : mesh.group(Axis::tp)},
      options);
}

/// Owns its blocks and their units; not movable.
template <class E, class StreamT, class... Kinds>
class Stack {
  static_assert((Block<Kinds, E, StreamT> && ...),
                "Stack<E, Stream, Kinds...>: a block kind lacks part of the interface: Saved, forward, recompute and "
                "backward on the stack's stream (see ashlar/models/stack.hpp).");

 public:
  using D = typename E::Device;
  using Queue = typename D::Queue;
  using Stream = StreamT;

  template <std::size_t K>
  using Kind = std::tuple_element_t<K, std::tuple<Kinds...>>;

  /// Of a micro-batch: what each block saved, and its input.
  struct Saved {
    std::vector<std::variant<typename Kinds::Saved...>> blocks;
    std::vector<Stream> inputs;
  };

  Stack() = default;
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // ---- building ----

  /// Appends a layer: a block of kind number K, made of `arguments`, which declares its parameters in the list of `d`;
  /// nothing else is there. Its experts, if it has any, are a unit of their own.
  template <std::size_t K, class... Arguments>
  void add(Declarations<E>& d, std::string name, const Mesh& mesh, const UnitOptions& options,
           Arguments&&... arguments) {
    Layer layer{std::move(name), {}, units_.size(), 0};
    layer.block.template emplace<K>(std::make_unique<Kind<K>>(std::forward<Arguments>(arguments)...));
    std::vector<typename Declarations<E>::Entry> block, experts;
    for (auto& e : d.take()) (e.info.expert ? experts : block).push_back(std::move(e));
    units_.push_back(make_unit<E>(std::move(block), mesh, options));
    if (!experts.empty()) units_.push_back(make_unit<E>(std::move(experts), mesh, options));
    layer.units = units_.size() - layer.first_unit;
    layers_.push_back(std::move(layer));
    options_ = options;
  }
  /// After the last layer: allocates the units and the buffers that they borrow.
  void allocate(Memory<D>& memory, Queue& queue) {
    index_t largest = 0, most_trained = 0;
    int most = 1;
    bool sharded = false;
    for (auto& layer : layers_) most = std::max(most, static_cast<int>(layer.units));
    for (auto& unit : units_) {
      largest = std::max(largest, unit->size());
      most_trained = std::max(most_trained, unit->layout().trained().size);
      sharded |= unit->groups().shard.size() > 1;
    }
    if (E::has(fsdp) && sharded) {
      if (options_.reshard) value_pool_.emplace(memory, 2 * most, largest);
      if (options_.reduce_each_micro_batch) gradient_pool_.emplace(memory, 2 * most, most_trained);
    }
    for (auto& unit : units_)
      unit->allocate(memory, queue, value_pool_ ? &*value_pool_ : nullptr, gradient_pool_ ? &*gradient_pool_ : nullptr);
  }

  std::size_t size() const { return layers_.size(); }
  bool empty() const { return layers_.empty(); }
  /// In the order of forward.
  const std::vector<std::unique_ptr<Unit<E>>>& units() const { return units_; }
  /// f(block) for each block, of whichever kind it is.
  template <class F>
  void for_each_block(F&& f) {
    for (Layer& layer : layers_) std::visit([&](auto& block) { f(*block); }, layer.block);
  }

  // ---- passes ----

  /// Starts to gather layer i's parameters; behind the last layer, `next`, where there is one.
  void prefetch(std::size_t i, Unit<E>* next = nullptr) {
    if (i < layers_.size())
      for_units(i, [](Unit<E>& unit) { unit.prefetch(); });
    else if (next)
      next->prefetch();
  }

  /// x through all blocks. `next`: the unit used after the stack, or null. `turns`: backward begins right after, so the
  /// last block's parameters stay.
  Stream forward(Context<E>& c, Stream x, Saved& saved, Unit<E>* next, bool turns) {
    saved.blocks.resize(layers_.size());
    saved.inputs.resize(layers_.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      typename Context<E>::Path path(c, layers_[i].name);
      acquire(i);
      prefetch(i + 1, next);
      saved.inputs[i] = x;
      x = run(c, i, x, saved);
      if (!(turns && i + 1 == layers_.size())) release(i);
    }
    return x;
  }
  /// The stream's gradient d through all blocks in reverse, in place. `ends`: gradients of weights are complete with
  /// this pass (they are not deferred); `last`: for the step's last time.
  void backward(Context<E>& c, Stream& d, Saved& saved, bool ends, bool last) {
    for (std::size_t i = layers_.size(); i-- > 0;) {
      typename Context<E>::Path path(c, layers_[i].name);
      acquire(i);
      if (i > 0) prefetch(i - 1);
      for_units(i, [&](Unit<E>& unit) { unit.begin_gradient(c.queue); });
      backward_block(c, i, d, saved);
      if (ends) for_units(i, [&](Unit<E>& unit) { unit.end_gradient(c.queue, last); });
      release(i);
    }
  }

 private:
  struct Layer {
    std::string name;
    std::variant<std::unique_ptr<Kinds>...> block;
    std::size_t first_unit, units;
  };

  // f(block, saved) with the block of layer i and what it saved.
  template <std::size_t K = 0, class F>
  decltype(auto) visit(std::size_t i, Saved& saved, F&& f) {
    if constexpr (K + 1 < sizeof...(Kinds))
      if (layers_[i].block.index() != K) return visit<K + 1>(i, saved, std::forward<F>(f));
    auto& s = saved.blocks[i];
    if (s.index() != K) s.template emplace<K>();
    return f(*std::get<K>(layers_[i].block), std::get<K>(s));
  }
  template <class F>
  void for_units(std::size_t i, F&& f) {
    for (std::size_t u = 0; u < layers_[i].units; ++u) f(*units_[layers_[i].first_unit + u]);
  }
  void acquire(std::size_t i) {
    for_units(i, [](Unit<E>& unit) { unit.acquire(); });
  }
  void release(std::size_t i) {
    for_units(i, [](Unit<E>& unit) { unit.release(); });
  }

  Stream forward_block(Context<E>& c, std::size_t i, const Stream& x, Saved& saved) {
    return visit(i, saved, [&](auto& block, auto& s) { return block.forward(c, x, s); });
  }
  // The block's output: kept where something is kept, and otherwise in scratch until the stage's pass ends.
  Stream run(Context<E>& c, std::size_t i, const Stream& x, Saved& saved) {
    if (c.saving() && c.keep != Keep::inputs) return forward_block(c, i, x, saved);
    Stream out = like(x, [&](const Shape& shape) { return c.saving() ? c.kept(shape) : c.scratch(shape); });
    ArenaScope scope(c.scratch_arena());
    Context<E> once = c;
    once.kept_arena = nullptr;
    copy(c.queue, forward_block(once, i, x, saved), out);
    return out;
  }
  void backward_block(Context<E>& c, std::size_t i, Stream& d, Saved& saved) {
    ArenaScope scope(c.scratch_arena());
    const auto mark = c.kept_arena->mark();
    if (c.keep != Keep::all) {
      Context<E> again = c;
      again.phase = Phase::forward;
      again.observer = nullptr;
      again.count_routing = false;
      if (c.keep == Keep::selected) {
        again.recomputing = true;
        visit(i, saved, [&](auto& block, auto& s) { block.recompute(again, s); });
      } else {
        again.keep = Keep::all;
        forward_block(again, i, saved.inputs[i], saved);
      }
    }
    visit(i, saved, [&](auto& block, auto& s) { block.backward(c, d, s); });
    if (!c.deferred) c.kept_arena->release(mark);
  }

  // Above the units: one that ends while its exchange is under way waits for it, in a buffer that it has borrowed.
  std::optional<typename Unit<E>::ValuePool> value_pool_;
  std::optional<typename Unit<E>::GradientPool> gradient_pool_;
  std::vector<Layer> layers_;
  std::vector<std::unique_ptr<Unit<E>>> units_;
  UnitOptions options_;
};

}  // namespace ashlar::inline v0
