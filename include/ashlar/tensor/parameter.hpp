// Parameter: what a module declares and uses. Where its value and gradient live is its unit's business
// (parallel/unit.hpp). Read next: tensor/unit_layout.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ashlar/config/config.hpp"
#include "ashlar/core/initializer.hpp"
#include "ashlar/core/strategy.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/tensor/memory.hpp"

namespace ashlar::inline v0 {

/// A dimension that is cut into equal parts over the ranks of an axis.
struct Shard {
  Axis axis;
  int dim;
};

/// What is known of a parameter before it has storage.
struct ParameterInfo {
  std::string name;  // the checkpoint's name, dotted
  Shape shape;       // logical: as on one rank
  Initializer initializer;
  std::vector<Shard> shards;  // over tp or ep; empty: every rank of those axes holds all of it
  bool expert = false;        // belongs to the experts' unit
  bool trainable = true;      // false: frozen, a value alone without master, gradient and state
  int group = 0;              // of the optimizer (optim/groups.hpp)
  bool table = false;         // of rows by id, an embedding's or an output's, and not a matrix of a hidden layer
};

/// A parameter inside a module. Not movable: its unit holds its address. `value` is valid while the unit is acquired,
/// `gradient` between begin_gradient and end_gradient; both have the local shape. What is not trainable has no
/// gradient: modules ask before they compute one.
template <class E>
struct Parameter {
  using Device = typename E::Device;

  Parameter() = default;
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  TensorView<const typename E::Compute, Device> value;
  TensorView<typename E::Master, Device> gradient;
  bool trainable = true;
};

/// Where modules put their declarations while a model is built: a handle, passed by value, under whose path names
/// begin. Knows this rank's place on the axes that cut parameters.
template <class E>
class Declarations {
 public:
  struct Entry {
    Parameter<E>* parameter;
    ParameterInfo info;
    Shape local_shape;
    Shape local_offset;  // of the local part, in the logical shape
  };
  struct Place {
    int coordinate = 0, degree = 1;
  };

  /// A tensor that is part of the model's state but not trained by gradients: the load-balancing bias.
  struct Buffer {
    std::string name;
    TensorView<typename E::Master, typename E::Device> values;
  };

  /// `memory` and `queue`: where modules make their buffers.
  Declarations(Memory<typename E::Device>& memory, typename E::Device::Queue& queue, Place tensor, Place expert)
      : list_(std::make_shared<List>(List{&memory, &queue, tensor, expert, {}, {}, {}, {}})) {}

  /// classify(info) sees each declaration, under its full name, before anything is made of it: it may freeze the
  /// parameter and says which group it is in.
  void classify_by(std::function<void(ParameterInfo&)> classify) { list_->classify = std::move(classify); }

  /// The same list, under names that begin with `name` and a dot.
  Declarations in(std::string_view name) const {
    Declarations inner = *this;
    (inner.path_ += name) += '.';
    return inner;
  }

  Memory<typename E::Device>& memory() const { return *list_->memory; }
  typename E::Device::Queue& queue() const { return *list_->queue; }
  /// Declares a buffer under the path; its values must outlive the model's use.
  void add_buffer(std::string_view name, TensorView<typename E::Master, typename E::Device> values) {
    list_->buffers.push_back({path_ + std::string(name), values});
  }

  /// What adapters are like, in a model that has them.
  void adapt_by(const LoraConfig& lora) { list_->lora = lora; }
  const LoraConfig& lora() const { return list_->lora; }
  /// A name under the path.
  std::string full_name(std::string_view name) const { return path_ + std::string(name); }

  Place place(Axis axis) const { return axis == Axis::tp ? list_->tp : axis == Axis::ep ? list_->ep : Place{}; }
  int degree(Axis axis) const { return place(axis).degree; }

  /// Declares `parameter` under the path. Throws ConfigError when a shard does not divide.
  void add(Parameter<E>& parameter, ParameterInfo info) {
    info.name = path_ + info.name;
    if (list_->classify) list_->classify(info);
    parameter.trainable = info.trainable;
    Entry entry{&parameter, std::move(info), {}, {}};
    entry.local_shape = entry.info.shape;
    for (int i = 0; i < entry.info.shape.rank(); ++i) entry.local_offset.push_back(0);
    for (const Shard& shard : entry.info.shards) {
      const Place p = place(shard.axis);
      const index_t whole = entry.info.shape[shard.dim];
      if (whole % p.degree != 0)
        throw ConfigError(concat("parameter ", entry.info.name, " has ", whole, " in dimension ", shard.dim,
                                 ", which the ", to_string(shard.axis), " degree ", p.degree,
                                 " does not divide; choose a degree that does"));
      entry.local_shape[shard.dim] = whole / p.degree;
      entry.local_offset[shard.dim] = whole / p.degree * p.coordinate;
    }
    list_->entries.push_back(std::move(entry));
  }

  /// What has been declared since the last call, under any path, in order.
  std::vector<Entry> take() { return std::exchange(list_->entries, {}); }
  std::vector<Buffer> take_buffers() { return std::exchange(list_->buffers, {}); }

 private:
  struct List {
    Memory<typename E::Device>* memory;
    typename E::Device::Queue* queue;
    Place tp, ep;
    std::function<void(ParameterInfo&)> classify;
    std::vector<Entry> entries;
    std::vector<Buffer> buffers;
    LoraConfig lora;
  };
  std::shared_ptr<List> list_;
  std::string path_;
};

}  // namespace ashlar::inline v0
