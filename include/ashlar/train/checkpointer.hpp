// Checkpointer: when a trainer's state is saved, what of it, and what a run starts from. Binds checkpoint/, which knows
// flat ranges and files, to a Trainer and its Loader. Read next: checkpoint/save.hpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ashlar/checkpoint/load.hpp"
#include "ashlar/checkpoint/save.hpp"
#include "ashlar/config/json.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/train/trainer_state.hpp"

namespace ashlar::inline v0 {

/// What a checkpointer needs of a trainer, of whatever kind. What it refers to outlives it.
struct TrainerAccess {
  const Config& config;
  const Mesh& mesh;
  index_t seq_len;                                              // tokens a row
  std::vector<StateRange> trained, frozen, buffers, optimizer;  // this rank's; see train/trainer_state.hpp
  std::function<std::int64_t()> step_count, update_count;
  std::function<void(std::int64_t step, std::int64_t updates)> resume_at;
  bool needs_base = false;  // what is trained is nothing without frozen weights
};

/// One rank's checkpointer; trainer and loader outlive it. All members but the accessors are collective.
class Checkpointer {
 public:
  /// Throws ConfigError for unknown names in checkpoint.exclude_from_loading.
  template <class M>
  Checkpointer(Trainer<M>& trainer, DataCursor& loader)
      : Checkpointer(
            TrainerAccess{trainer.config(), trainer.mesh(), trainer.batch().seq_len, trained_state(trainer),
                          frozen_state(trainer), buffer_state(trainer), optimizer_state(trainer),
                          [&trainer] { return trainer.step_count(); }, [&trainer] { return trainer.update_count(); },
                          [&trainer](std::int64_t step, std::int64_t updates) { trainer.resume_at(step, updates); },
                          M::Environment::Weights::needs_base},
            loader) {}
  Checkpointer(TrainerAccess trainer, DataCursor& loader);

  /// Saves after step `step` where that is due: at multiples of the interval, after step 1 where asked for, after the
  /// last step, and when the run is `stopped` before it. Returns whether it did, once all is on the disk. Throws Error
  /// on all ranks where one of them could not write; older checkpoints stay as they are.
  bool save(std::int64_t step, bool last, bool stopped = false);

  /// Before the first step: frozen weights from checkpoint.base_path where that is given. Then takes up the run's own
  /// newest checkpoint (or checkpoint.load_step) where saving is enabled and there is one, otherwise what
  /// checkpoint.initial_load_path names. Returns whether anything was loaded.
  bool load();
  /// For evaluate and generate: weights alone, whether or not saving is enabled, from initial_load_path where it is
  /// given and otherwise from the run's own folder. Throws ConfigError where there is nothing.
  void load_model();
  /// Loads from a path that open_checkpoint accepts: all of it, or weights and buffers alone, less what
  /// checkpoint.exclude_from_loading names. The layouts of then and now may differ.
  void load_from(const std::filesystem::path& path, bool model_only);

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
  // Weights and buffers; frozen ones unless they stay in checkpoint.base_path.
  std::vector<StateRange> weights(bool frozen) const {
    std::vector<StateRange> all = trainer_.trained;
    all.insert(all.end(), trainer_.buffers.begin(), trainer_.buffers.end());
    if (frozen) all.insert(all.end(), trainer_.frozen.begin(), trainer_.frozen.end());
    return all;
  }
  // Frozen weights, and the buffers beside them, from checkpoint.base_path.
  void load_base();
  // The step to take up from a folder of checkpoints, or -1: rank 0 looks, so that all ranks see the same.
  std::int64_t step_of(const std::filesystem::path& folder);
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

#if !ASHLAR_COMPILED
#include "ashlar/train/checkpointer.ipp"
#endif
