// Definitions of checkpointer.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/train/checkpointer.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE Checkpointer::Checkpointer(TrainerAccess trainer, DataCursor& loader)
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

ASHLAR_ONCE bool Checkpointer::save(std::int64_t step, bool last, bool stopped) {
  const bool first = step == 1 && config_.enable_first_step_checkpoint;
  if (!config_.enable || !(last || stopped || first || step % config_.interval == 0)) return false;
  const Patience patience(trainer_.mesh.world());
  Manifest m;
  m.step = step;
  m.updates = trainer_.update_count();
  m.tokens = tokens_seen();
  m.cursor = loader_.cursor();
  m.model_only = last && config_.last_save_model_only;
  m.world_size = trainer_.mesh.world().size();
  m.degrees = trainer_.mesh.degrees();
  m.config = to_json(trainer_.config);
  std::optional<DType> type;
  if (m.model_only) type = config_.export_dtype == "bfloat16" ? DType::bf16 : DType::f32;
  m.base = config_.base_path;
  std::vector<StateRange> state = weights(config_.base_path.empty());
  if (!m.model_only) state.insert(state.end(), trainer_.optimizer.begin(), trainer_.optimizer.end());
  save_checkpoint(step_folder(folder_, step), state, std::move(m), trainer_.mesh.world(), type);
  if (trainer_.mesh.world().rank() == 0) purge(folder_, config_.keep_latest_k, step);
  return true;
}

ASHLAR_ONCE void Checkpointer::load_base() {
  if (config_.base_path.empty() && trainer_.needs_base)
    throw ConfigError(
        "this recipe trains adapters beside frozen weights: name the checkpoint that those are from with "
        "--checkpoint.base_path");
  if (config_.base_path.empty()) return;
  const std::int32_t some = !trainer_.frozen.empty();
  if (trainer_.mesh.world().reduce_value(some, Reduce::max) == 0)
    throw ConfigError(
        "--checkpoint.base_path is where frozen weights come from, but this model has none; name a checkpoint to start "
        "from with --checkpoint.initial_load_path");
  const Patience patience(trainer_.mesh.world());
  OpenCheckpoint base = open_checkpoint(config_.base_path);
  check_nothing_left_over(base.index, weights(true), trainer_.mesh.world());
  load_state(base.index, trainer_.frozen);
  load_state(base.index, trainer_.buffers);
  trainer_.resume_at(trainer_.step_count(), trainer_.update_count());
  trainer_.mesh.world().barrier();
}

ASHLAR_ONCE bool Checkpointer::load() {
  load_base();
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

ASHLAR_ONCE void Checkpointer::load_model() {
  load_base();
  if (!config_.initial_load_path.empty()) return load_from(initial_path(), true);
  const std::int64_t step = own_step();
  if (step < 0)
    throw ConfigError(concat(folder_.string(),
                             ": holds no complete checkpoint; name one with --checkpoint.initial_load_path, or the "
                             "run's --job.dump_folder"));
  load_from(step_folder(folder_, step), true);
}

ASHLAR_ONCE void Checkpointer::load_from(const std::filesystem::path& path, bool model_only) {
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
    const bool whole = !checkpoint.manifest || checkpoint.manifest->base.empty();
    if (!whole && config_.base_path.empty())
      throw ConfigError(concat(checkpoint.path.string(), ": holds trained weights alone; the frozen ones were in ",
                               checkpoint.manifest->base, ": name that checkpoint with --checkpoint.base_path"));
    check_nothing_left_over(checkpoint.index, weights(true), trainer_.mesh.world());
    if (trainer_.needs_base && checkpoint.manifest) {
      Config then;
      FieldList list = fields(then);
      read_json(list, checkpoint.manifest->config, checkpoint.path.string());
      const LoraConfig &its = then.lora, &here = trainer_.config.lora;
      if (its.rank != here.rank || its.alpha != here.alpha)
        throw ConfigError(concat(checkpoint.path.string(), ": has adapters of --lora.rank ", its.rank,
                                 " and --lora.alpha ", its.alpha, ", not of ", here.rank, " and ", here.alpha));
    }
    load_state(checkpoint.index, weights(config_.base_path.empty()));
  }
  if (wants[0]) load_state(checkpoint.index, trainer_.optimizer);
  if (wants[1]) loader_.seek(checkpoint.manifest->cursor);
  cursor_ = loader_.cursor();
  tokens_ = wants[2] ? checkpoint.manifest->tokens : 0;
  trainer_.resume_at(wants[2] ? checkpoint.manifest->step : trainer_.step_count(),
                     wants[0] ? checkpoint.manifest->updates : trainer_.update_count());
  loaded_ = checkpoint.path;
  trainer_.mesh.world().barrier();  // under patience: ranks that had little to read wait here for the others
}

ASHLAR_ONCE std::int64_t Checkpointer::step_of(const std::filesystem::path& folder) {
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

}  // namespace ashlar::inline v0
