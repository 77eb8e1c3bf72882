// Checkpointer: when a trainer's state is saved, what of it, and what a run starts from. Binds checkpoint/, which knows
// flat ranges and files, to a Trainer and its Loader. Used by train/train_loop.hpp. Read next: checkpoint/save.hpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ashlar/checkpoint/load.hpp"
#include "ashlar/checkpoint/save.hpp"
#include "ashlar/train/config_json.hpp"
#include "ashlar/train/trainer_state.hpp"

namespace ashlar::inline v0 {

/// What a checkpointer needs of a trainer, of whatever kind. What it refers to outlives it.
struct TrainerAccess {
  const Config& config;
  const Mesh& mesh;
  index_t seq_len;                           // tokens a row
  std::vector<StateRange> model, optimizer;  // this rank's; see train/trainer_state.hpp
  std::function<std::int64_t()> step_count;
  std::function<void(std::int64_t step)> resume_at;
};

/// One rank's checkpointer; trainer and loader outlive it. All members but the accessors are collective.
class Checkpointer {
 public:
  /// Throws ConfigError for unknown names in checkpoint.exclude_from_loading.
  template <class M>
  Checkpointer(Trainer<M>& trainer, DataCursor& loader)
      : Checkpointer(TrainerAccess{trainer.config(), trainer.mesh(), trainer.batch().seq_len, model_state(trainer),
                                   optimizer_state(trainer), [&trainer] { return trainer.step_count(); },
                                   [&trainer](std::int64_t step) { trainer.resume_at(step); }},
                     loader) {}
  template <class CompiledOnce = void>
  Checkpointer(TrainerAccess trainer, DataCursor& loader)
      : trainer_(std::move(trainer)),
        loader_(loader),
        config_(trainer_.config.checkpoint),
        folder_(std::filesystem::path(trainer_.config.job.dump_folder) / config_.folder),
        cursor_(loader.cursor()) {
    const std::vector<std::string> parts{"model", "optimizer", "dataloader", "train_state"};
    for (const std::string& name : config_.exclude_from_loading)
      if (std::find(parts.begin(), parts.end(), name) == parts.end())
        throw ConfigError(concat("--checkpoint.exclude_from_loading ", name,
                                 " is no part of a checkpoint; the nearest valid name is \"", nearest_name(name, parts),
                                 "\""));
  }

  /// Saves after step `step` where that is due: at multiples of the interval, after step 1 where asked for, after the
  /// last step, and when the run is `stopped` before it. Returns whether it did, once all is on the disk. Throws Error
  /// on all ranks where one of them could not write; older checkpoints stay as they are.
  template <class CompiledOnce = void>
  bool save(std::int64_t step, bool last, bool stopped = false) {
    const bool first = step == 1 && config_.enable_first_step_checkpoint;
    if (!config_.enable || !(last || stopped || first || step % config_.interval == 0)) return false;
    const Patience patience(trainer_.mesh.world());
    Manifest m;
    m.step = step;
    m.tokens = tokens_seen();
    m.cursor = loader_.cursor();
    m.model_only = last && config_.last_save_model_only;
    m.world_size = trainer_.mesh.world().size();
    m.degrees = trainer_.mesh.degrees();
    m.config = to_json(trainer_.config);
    std::optional<DType> type;
    if (m.model_only) type = config_.export_dtype == "bfloat16" ? DType::bf16 : DType::f32;
    std::vector<StateRange> state = trainer_.model;
    if (!m.model_only) state.insert(state.end(), trainer_.optimizer.begin(), trainer_.optimizer.end());
    save_checkpoint(step_folder(folder_, step), state, std::move(m), trainer_.mesh.world(), type);
    if (trainer_.mesh.world().rank() == 0) purge(folder_, config_.keep_latest_k, step);
    return true;
  }

  /// Before the first step: takes up the run's own newest checkpoint (or checkpoint.load_step) where saving is enabled
  /// and there is one, otherwise what checkpoint.initial_load_path names. Returns whether anything was loaded.
  template <class CompiledOnce = void>
  bool load() {
    if (config_.enable)
      if (const std::int64_t step = own_step(); step >= 0) return load_from(step_folder(folder_, step), false), true;
    if (config_.initial_load_path.empty()) {
      if (config_.load_step >= 0)
        throw ConfigError(
            "--checkpoint.load_step picks one of the run's own checkpoints with --checkpoint.enable, or one of "
            "--checkpoint.initial_load_path; neither is given");
      return false;
    }
    load_from(initial_path(), config_.initial_load_model_only);
    return true;
  }
  /// For evaluate and generate: weights alone, whether or not saving is enabled, from initial_load_path where it is
  /// given and otherwise from the run's own folder. Throws ConfigError where there is nothing.
  template <class CompiledOnce = void>
  void load_model() {
    if (!config_.initial_load_path.empty()) return load_from(initial_path(), true);
    const std::int64_t step = own_step();
    if (step < 0)
      throw ConfigError(concat(folder_.string(),
                               ": holds no complete checkpoint; name one with --checkpoint.initial_load_path, or the "
                               "run's --job.dump_folder"));
    load_from(step_folder(folder_, step), true);
  }
  /// Loads from a path that open_checkpoint accepts: all of it, or weights and buffers alone, less what
  /// checkpoint.exclude_from_loading names. The layouts of then and now may differ.
  template <class CompiledOnce = void>
  void load_from(const std::filesystem::path& path, bool model_only) {
    const Patience patience(trainer_.mesh.world());
    OpenCheckpoint checkpoint = open_checkpoint(path);
    const bool has_all = checkpoint.manifest && !checkpoint.manifest->model_only;
    const bool wants[] = {!model_only && !excludes("optimizer"), !model_only && !excludes("dataloader"),
                          !model_only && !excludes("train_state")};
    if (!has_all && (wants[0] || wants[1] || wants[2]))
      throw ConfigError(concat(checkpoint.path.string(),
                               ": holds weights alone, so a run can't go on from it; choose another step with "
                               "--checkpoint.load_step, or start anew with --checkpoint.exclude_from_loading "
                               "optimizer,dataloader,train_state"));
    if (!excludes("model")) {
      check_nothing_left_over(checkpoint.index, trainer_.model, trainer_.mesh.world());
      load_state(checkpoint.index, trainer_.model);
    }
    if (wants[0]) load_state(checkpoint.index, trainer_.optimizer);
    if (wants[1]) loader_.seek(checkpoint.manifest->cursor);
    cursor_ = loader_.cursor();
    tokens_ = wants[2] ? checkpoint.manifest->tokens : 0;
    trainer_.resume_at(wants[2] ? checkpoint.manifest->step : trainer_.step_count());
    loaded_ = checkpoint.path;
    trainer_.mesh.world().barrier();  // under patience: ranks that had little to read wait here for the others
  }

  /// Tokens trained on since the run began, over all ranks and restarts.
  std::int64_t tokens_seen() const { return tokens_ + (loader_.cursor() - cursor_) * trainer_.seq_len; }
  const std::filesystem::path& folder() const { return folder_; }
  /// What was loaded, a checkpoint's folder or a file of weights; empty before.
  const std::filesystem::path& loaded_from() const { return loaded_; }

 private:
  // While it lives, ranks wait for each other as long as the disk may take: what they read and write is unequal, and
  // replicas own nothing.
  class Patience {
   public:
    explicit Patience(const Communicator& world) : world_(world), before_(world_.set_timeout(std::chrono::hours(2))) {}
    Patience(const Patience&) = delete;
    ~Patience() { world_.set_timeout(before_); }

   private:
    Communicator world_;
    std::chrono::milliseconds before_;
  };

  bool excludes(std::string_view part) const {
    const auto& names = config_.exclude_from_loading;
    return std::find(names.begin(), names.end(), part) != names.end();
  }
  // The step to take up from a folder of checkpoints, or -1: rank 0 looks, so that all ranks see the same.
  template <class CompiledOnce = void>
  std::int64_t step_of(const std::filesystem::path& folder) {
    std::int64_t step = config_.load_step;
    if (step < 0) {
      if (trainer_.mesh.world().rank() == 0) step = newest_step(folder).value_or(-1);
      step = trainer_.mesh.world().broadcast_value(step, 0);
    } else if (!is_complete(step_folder(folder, step))) {
      throw ConfigError(concat("--checkpoint.load_step ", step, ": ", step_folder(folder, step).string(),
                               " is not there or not complete"));
    }
    return step;
  }
  std::int64_t own_step() { return step_of(folder_); }
  std::filesystem::path initial_path() {
    const std::int64_t step = step_of(config_.initial_load_path);
    return step < 0 ? std::filesystem::path(config_.initial_load_path) : step_folder(config_.initial_load_path, step);
  }

  TrainerAccess trainer_;
  DataCursor& loader_;
  CheckpointConfig config_;
  std::filesystem::path folder_, loaded_;
  std::int64_t cursor_ = 0, tokens_ = 0;  // as of the last load
};

}  // namespace ashlar::inline v0
