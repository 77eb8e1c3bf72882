// Trainer: a model on a mesh with its optimizer and data, as a value that a user drives. `train` is one such loop
// (program/train_loop.hpp). Read next: models/stage.hpp, parallel/unit.hpp.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "ashlar/comm/world.hpp"
#include "ashlar/config/options.hpp"
#include "ashlar/data/loader.hpp"
#include "ashlar/models/stage.hpp"
#include "ashlar/optim/lr_schedule.hpp"
#include "ashlar/optim/optimize.hpp"
#include "ashlar/parallel/pipeline/executor.hpp"
#include "ashlar/report/expert_load.hpp"
#include "ashlar/train/batch_upload.hpp"
#include "ashlar/train/layout.hpp"

namespace ashlar::inline v0 {

/// What a step came to; the same on every rank.
struct StepResult {
  std::int64_t step = 0;
  double loss = 0;       // mean over the step's valid tokens
  double grad_norm = 0;  // before clipping
  double lr = 0;
};

/// One rank's trainer. All members that say so are collective: every rank calls them, in one order. Not movable.
template <Model M>
class Trainer {
 public:
  using E = typename M::Environment;
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using Queue = typename D::Queue;
  using Stage = ashlar::Stage<M>;
  using Batch = HostBatchOf<M>;
  using Objective = typename M::Objective;
  using Rules = OptimizeOf<typename M::Recipe>;
  using Optimizer = typename Rules::template In<E>;

  /// Builds this rank's part of the model and draws its weights. Collective. Throws ConfigError for what can't be run.
  explicit Trainer(const Config& config, Communicator world = {})
      : config_(valid(config)),
        mesh_(compiled_degrees<M>(degrees_of(config.parallelism), world.size()), world_on<D>(world)),
        sizes_(sizes_of<M>(config)),
        batch_(batch_layout(config, mesh_)),
        schedule_(schedule_of(config.parallelism, mesh_, batch_.micro_batches)),
        groups_(config.optimizer, Rules::notes()),
        lr_({config.optimizer.lr, config.training.steps, config.lr_scheduler.warmup_steps,
             config.lr_scheduler.decay_ratio, decay_from(config.lr_scheduler.decay_type),
             config.lr_scheduler.min_lr_factor}) {
    mesh_.world().set_timeout(std::chrono::seconds(config.comm.init_timeout_seconds));
    if constexpr (std::is_same_v<T, MetaFloat>) {
      const DType type = world.host_backend() ? world.host_backend()->meta_float() : DType::f32;
      memory_.set_meta_float(type);
      queue_.meta_float_bytes = static_cast<index_t>(size_of(type));
    }
    build_stages();
    std::vector<Unit<E>*> units;
    for (auto& stage : stages_)
      for (Unit<E>* unit : stage->units()) units.push_back(unit);
    optimizer_.emplace(memory_, queue_, mesh_, std::move(units), config.optimizer, groups_);
    inputs_.emplace(memory_, shape<DeviceArray<D>::template Owned>());
  }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // ---- training ----

  /// Trains on this rank's part of a global batch, under `loss`. On one Cuda rank it waits for nothing but room in
  /// inputs_: the host may be two steps ahead. Collective.
  void step(const Batch& batch, const Objective& objective = M::default_objective()) {
    mesh_.world().set_step(step_ + 1);
    run(batch, objective, true);
    for (auto& stage : stages_) stage->finish_gradients();
    optimizer_->step(queue_, updates_ + 1, lr_.rate(step_ + 1), config_.training.max_norm);
    for (auto& stage : stages_) stage->finish_step();
    ++step_;
    ++updates_;
    if (step_ == first_step_ + 1) mesh_.world().set_timeout(std::chrono::seconds(config_.comm.train_timeout_seconds));
  }
  template <class Other>
  requires(!std::is_convertible_v<Other, Objective>) void step(const Batch&, const Other&) {
    static_assert(detail::always_false<Other>,
                  "Trainer::step takes the model's objective: of a language model a loss that can be called as "
                  "loss(Context<E>&, const LogitsChunk<E>&), and may be copied (see ashlar/nn/loss.hpp).");
  }
  /// The last step's result; waits for the device. Collective. Throws Error when the gradients of any step since the
  /// last result were not finite: such a step has changed no weight.
  StepResult result() {
    double loss = summed_loss();
    A norm_and_scale[3] = {};
    D::download(queue_, norm_and_scale, optimizer_->norm_and_scale().data(), sizeof norm_and_scale);
    const StepResult r{step_, loss * loss_scale_, static_cast<double>(norm_and_scale[0]), lr_.rate(step_)};
    if (const A skipped = norm_and_scale[2]; skipped > 0) {
      optimizer_->forget_skipped(queue_);
      fail(concat("step ", step_, ": the gradient norm is ", r.grad_norm, " and the loss ", r.loss,
                  "; of the steps since the last result ", skipped,
                  " had a gradient norm that is not finite, and left the weights as they were. Lower --optimizer.lr or "
                  "look for the tensor with the NonFiniteFinder observer"));
    }
    return r;
  }
  /// The mean loss on a global batch, of which `batch` is this rank's part, without training. Collective.
  double evaluate(const Batch& batch, const Objective& objective = M::default_objective()) {
    run(batch, objective, false);
    return summed_loss() * loss_scale_;
  }

  /// How evenly the last step's tokens were spread over experts; nothing of a model without routers that count. Waits
  /// for the device. Collective.
  std::optional<ExpertLoad> expert_load() {
    if constexpr (requires { sizes_.moe.top_k; }) {
      std::vector<std::vector<double>> counts;  // of this rank's layers
      for (auto& stage : stages_)
        stage->blocks().for_each_block([&](auto& block) {
          if constexpr (requires { block.expert_counts(); }) {
            const auto on_device = block.expert_counts();
            std::vector<std::int32_t> mine(static_cast<std::size_t>(on_device.count()));
            D::download(queue_, mine.data(), on_device.data(), mine.size() * sizeof(std::int32_t));
            counts.emplace_back(mine.begin(), mine.end());
            mesh_.data_and_tensor().reduce_values(std::span<double>(counts.back()));
          }
        });
      Communicator pipeline = mesh_.group(Axis::pp);
      const double layers = pipeline.reduce_value(static_cast<double>(counts.size()));
      if (layers == 0) return std::nullopt;
      ExpertLoad load;
      for (const auto& layer : counts)
        load.add_layer(layer, static_cast<double>(batch_.global_rows * batch_.seq_len * sizes_.moe.top_k), layers);
      load.least = -pipeline.reduce_value(-load.least, Reduce::max);
      load.most = pipeline.reduce_value(load.most, Reduce::max);
      load.entropy = pipeline.reduce_value(load.entropy);
      load.dropped = pipeline.reduce_value(load.dropped);
      return load;
    } else {
      return std::nullopt;
    }
  }

  // ---- state ----

  std::int64_t step_count() const { return step_; }
  /// Steps that the optimizer's states have seen: what bias corrections count.
  std::int64_t update_count() const { return updates_; }
  /// After a checkpoint was loaded: `step` steps have been taken, of which the optimizer's states have seen `updates`.
  void resume_at(std::int64_t step, std::int64_t updates) {
    step_ = first_step_ = step;
    updates_ = updates;
    for (auto& stage : stages_)
      for (Unit<E>* unit : stage->units()) unit->publish(queue_);
  }
  /// Rows of this rank in a step's batch, and what a micro-batch is.
  const BatchLayout& batch() const { return batch_; }
  /// A batch of this rank's shape without contents: what a step on Meta takes.
  Batch empty_batch() const { return shape<HostArray>(); }
  const Config& config() const { return config_; }
  const typename M::Sizes& sizes() const { return sizes_; }
  const LrSchedule& lr_schedule() const { return lr_; }
  Mesh& mesh() { return mesh_; }
  Queue& queue() { return queue_; }
  Memory<D>& memory() { return memory_; }
  Optimizer& optimizer() { return *optimizer_; }
  std::vector<std::unique_ptr<Stage>>& stages() { return stages_; }
  void observe(Observer<D>* observer) { observer_ = observer; }
  void assume_routing(Routing routing) { assumed_routing_ = routing; }

  /// Parameters of the whole model, over all stages and experts.
  double parameter_count() const { return parameters_; }
  FlopCount flops() const { return M::flops(sizes_, multiplied_, batch_.seq_len); }
  /// A loader for this rank: rows of one global batch after another.
  Loader<Batch> loader(std::shared_ptr<const Source<Batch>> source) const {
    return {std::move(source), batch_.global_rows, mesh_.dp_rank(), mesh_.dp_degree()};
  }
  /// The same of rows of tokens. Throws ConfigError for ids that the model does not have.
  Loader<Batch> loader(std::shared_ptr<const TokenSource> tokens) const requires std::is_same_v<Batch, HostBatch> {
    if (tokens->vocab_size() > sizes_.vocab_size)
      throw ConfigError(concat("the data has ", tokens->vocab_size(), " tokens, the flavor ", config_.model.flavor,
                               " only ", sizes_.vocab_size));
    return loader(std::make_shared<const TokenRows>(std::move(tokens), batch_.seq_len));
  }

 private:
  static const Config& valid(const Config& config) {
    validate(config);
    return config;
  }
  void build_stages() {
    const ParallelismConfig& p = config_.parallelism;
    const auto layers = pipeline::split_layers(
        M::num_layers(sizes_), schedule_.stages,
        {p.pipeline_parallel_first_stage_less_layers, p.pipeline_parallel_last_stage_less_layers});
    const bool reshard = reshards(p);
    const UnitOptions units{reshard, mesh_.degree(Axis::pp) == 1};
    stages_by_number_.resize(layers.size());
    for (std::size_t s = 0; s < layers.size(); ++s) {
      if (schedule_.stage_to_rank[s] != mesh_.coordinate(Axis::pp)) continue;
      stages_.push_back(std::make_unique<Stage>(
          sizes_, layers[s],
          StageSetup<E>{memory_, queue_, mesh_, batch_.seq_len, keep_of<M>(config_.activation_checkpoint.mode), units,
                        config_.lora, [this](ParameterInfo& info) {
                          info.trainable &= E::Weights::trains(info);
                          groups_.classify(info);
                        }}));
      stages_.back()->initialize(static_cast<std::uint64_t>(config_.training.seed));
      stages_by_number_[s] = stages_.back().get();
    }
    const pipeline::Schedule lowered = pipeline::lower(schedule_);
    train_.emplace(lowered, stages_by_number_, mesh_.group(Axis::pp), queue_);
    evaluate_.emplace(pipeline::forward_only(lowered), stages_by_number_, mesh_.group(Axis::pp), queue_);
    count_parameters();
  }
  // Logical sizes are in the layouts; each stage knows its own. A frozen weight has no product for its gradient, the
  // third of three.
  void count_parameters() {
    std::vector<double> counts(3);
    for (auto& stage : stages_)
      for (Unit<E>* unit : stage->units())
        for (const auto& e : unit->layout().entries()) {
          const auto n = static_cast<double>(e.info.shape.count());
          counts[0] += n;
          counts[1] += n * M::multiplied(e.info, sizes_) * (e.info.trainable ? 1 : 2.0 / 3);
          counts[2] += e.info.trainable ? n : 0;
        }
    counts.insert(counts.end(), groups_.counts().begin(), groups_.counts().end());
    if constexpr (D::has_storage) mesh_.group(Axis::pp).reduce_values(std::span<double>(counts));
    parameters_ = counts[0];
    multiplied_ = counts[1];
    groups_.counts().assign(counts.begin() + 3, counts.end());
    if (!D::has_storage && mesh_.degree(Axis::pp) > 1) return;
    if (counts[2] == 0)
      throw ConfigError(
          "no parameter is trained: optimizer.groups freezes them all, or --lora.targets names no projection of the "
          "model; \"*\" names all of them");
    groups_.check_counts();
  }

  template <template <class> class Array>
  typename M::template Batch<Array> shape() const {
    return M::template empty_batch<Array>(sizes_, batch_.local_rows, batch_.seq_len);
  }
  void run(const Batch& batch, const Objective& objective, bool training) {
    StepInput<M> input;
    input.batch = shape<DeviceArray<D>::template View>();
    check_shape(batch);
    double counted = 1;
    if constexpr (D::has_storage) {
      counted = batch.counted();
      counted = mesh_.data().reduce_value(counted);
    }
    inputs_->upload(queue_, batch, input.batch);
    loss_scale_ = counted > 0 ? 1.0 / counted : 0;
    input.micro_batches = batch_.micro_batches;
    input.rows = batch_.rows;
    input.loss_scale = loss_scale_;
    input.objective = &objective;
    input.training = training;
    input.observer = observer_;
    input.assumed_routing = assumed_routing_;
    input.unordered_sums = config_.training.unordered_sums;
    for (auto& stage : stages_) stage->begin_step(input);
    (training ? *train_ : *evaluate_).run();
  }
  void check_shape(const Batch& batch) const {
    const Batch expected = shape<HostArray>();
    if (batch.extent() != expected.extent())
      fail(concat("the trainer takes batches of ", expected.description(), ", and got ", batch.description()));
  }
  // The loss over all tokens of the global batch: counted where the output is, once a group of tp.
  double summed_loss() {
    double loss = 0;
    for (auto& stage : stages_)
      if (stage->has_output() && mesh_.coordinate(Axis::tp) == 0)
        D::download(queue_, &loss, stage->loss_total().data(), sizeof loss);
    return mesh_.world().reduce_value(loss);
  }

  Config config_;
  Queue queue_;
  Mesh mesh_;
  typename M::Sizes sizes_;
  BatchLayout batch_;
  pipeline::Schedule schedule_;
  ParameterGroups groups_;
  LrSchedule lr_;
  Memory<D> memory_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<Stage*> stages_by_number_;
  std::optional<pipeline::Executor<Stage>> train_, evaluate_;
  std::optional<Optimizer> optimizer_;
  std::optional<BatchUpload<M>> inputs_;
  double parameters_ = 0, multiplied_ = 0;
  double loss_scale_ = 1;
  std::int64_t step_ = 0, first_step_ = 0, updates_ = 0;
  Observer<D>* observer_ = nullptr;
  Routing assumed_routing_ = Routing::balanced;
};

}  // namespace ashlar::inline v0
