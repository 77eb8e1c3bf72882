// Model: what Trainer and Stage ask of a model, of whatever kind. A model is a struct of types and static functions; it
// has no state. models/decoder/decoder.hpp is one, models/joint/joint.hpp another. Read next: models/stage.hpp.
#pragma once

#include <concepts>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "ashlar/core/error.hpp"
#include "ashlar/data/batch.hpp"
#include "ashlar/mesh/mesh.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/parallel/pipeline/split.hpp"
#include "ashlar/parallel/unit.hpp"

namespace ashlar::inline v0 {

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
  LoraConfig lora = {};
  std::function<void(ParameterInfo&)> classify = {};  // see Declarations::classify_by
};

/// A model's batch in host memory, in a device's, and as views of some rows there.
template <class M>
using HostBatchOf = typename M::template Batch<HostArray>;
template <class M>
using OwnedBatch = typename M::template Batch<DeviceArray<typename M::Environment::Device>::template Owned>;
template <class M>
using ViewBatch = typename M::template Batch<DeviceArray<typename M::Environment::Device>::template View>;

/// Its types:
/// - Environment; Sizes, the numbers of a flavor; Batch<Array>, what it is trained on (data/batch.hpp);
/// - Stream, what flows through its blocks (models/stream.hpp), and Blocks, a Stack of them;
/// - Front, of (declarations, sizes): forward(c, batch, saved) makes the first stream, backward(c, batch, d, saved)
/// takes
///   its gradient;
/// - Back, of (declarations, sizes, the Front of this stage or null): forward(c, stream, batch, objective, total,
/// saved)
///   adds the summed loss to total[0], recompute(c, saved), and backward(c, saved) returns the stream's gradient;
/// - Objective, what Back is given; Shared, of (stage setup, sizes): what all blocks of a stage read.
///
/// Its functions:
/// - name(), flavors(), and num_layers(sizes): how many layers pipeline stages are cut from;
/// - check(sizes, range): throws ConfigError for a cut that can't be;
/// - add_layer(blocks, declarations, sizes, shared, l, mesh, unit options);
/// - empty_batch<Array>(sizes, rows, seq_len): a batch of that shape, without arrays;
/// - describe(c, batch): what the rows of c's streams are;
/// - make_stream(c, sizes, tp, allocate): a stream of this rank's part;
/// - default_objective();
/// - multiplied(parameter, sizes): which share of a parameter's elements takes part in a product for a row;
/// flops(sizes,
///   multiplied elements, seq_len): a FlopCount.
template <class M>
concept Model = requires(const typename M::Sizes& sizes, Context<typename M::Environment>& c, const ViewBatch<M>& batch,
                         const ParameterInfo& info, const pipeline::StageLayers& range) {
  typename M::Stream;
  typename M::Blocks;
  typename M::Front;
  typename M::Back;
  typename M::Objective;
  typename M::Shared;
  { M::name() } -> std::convertible_to<std::string_view>;
  M::flavors();
  { M::num_layers(sizes) } -> std::convertible_to<int>;
  M::check(sizes, range);
  M::describe(c, batch);
  { M::default_objective() } -> std::convertible_to<typename M::Objective>;
  { M::multiplied(info, sizes) } -> std::convertible_to<double>;
};

/// What the usual accounting of model FLOPs needs (PaLM, arXiv:2204.02311, appendix B).
struct FlopCount {
  double per_token = 0;         // 6 parameters that multiply + 12 layers heads head_dim seq_len: full attention
  double per_token_causal = 0;  // the same with half the attention
};

template <class Sizes>
struct Flavor {
  std::string_view name;
  Sizes sizes;
};

/// The flavor called `name`. Throws ConfigError that lists the names there are.
template <class Sizes>
const Sizes& find_flavor(std::string_view family, std::span<const Flavor<Sizes>> flavors, std::string_view name) {
  std::string names;
  for (const auto& f : flavors) {
    if (f.name == name) return f.sizes;
    names += concat(names.empty() ? "" : ", ", f.name);
  }
  throw ConfigError(concat("--model.flavor ", name, " is not a flavor of ", family, "; there are ", names));
}

}  // namespace ashlar::inline v0
