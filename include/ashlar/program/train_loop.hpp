// The loop of the subcommand train: data, steps, validation, reports, checkpoints, and a clean end on SIGTERM.
// A loop of the user's own needs none of this: see examples/own_loop. Read next: train/trainer.hpp,
// train/checkpointer.hpp.
#pragma once

#include <functional>

#include "ashlar/program/data.hpp"
#include "ashlar/program/validation.hpp"
#include "ashlar/program/warm_up.hpp"
#include "ashlar/report/matmul_rate.hpp"
#include "ashlar/report/metrics.hpp"
#include "ashlar/report/peak_memory.hpp"
#include "ashlar/report/progress.hpp"
#include "ashlar/train/checkpointer.hpp"

namespace ashlar::inline v0 {

/// Counts time and tokens between reports.
class StepClock {
 public:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

  void loaded(Clock::duration time) { loading_ += time; }
  void stepped() { ++steps_; }
  double elapsed() const { return seconds(Clock::now() - begin_); }

  struct Rates {
    double seconds_per_step, data_loading;
  };
  /// Over the steps since the last call.
  Rates take() {
    const auto now = Clock::now();
    const double total = std::max(seconds(now - last_), 1e-9);
    const Rates rates{total / std::max(steps_, 1), seconds(loading_) / total};
    last_ = now;
    loading_ = {};
    steps_ = 0;
    return rates;
  }

 private:
  Clock::time_point begin_ = Clock::now(), last_ = begin_;
  Clock::duration loading_{};
  int steps_ = 0;
};

/// Trains to --training.steps, going on from the newest checkpoint. `stop()` is asked between steps on rank 0's behalf:
/// when any rank's says yes, the loop ends, with a checkpoint where checkpoint.enable is set. Collective. Returns the
/// last step. Throws ConfigError for data or sizes that can't be trained on.
template <class M>
std::int64_t train_loop(const Config& config, Communicator world, const std::function<bool()>& stop) {
  using E = typename M::Environment;
  using D = typename E::Device;
  StepClock clock;
  const WarmUp<typename E::Compute, D> warm_up;
  // Data first: it is soon read, and what is wrong with it is said before a large model is built.
  const RunData data = open_data(config, sizes_of<M>(config).vocab_size, world);
  Trainer<M> trainer(config, world);
  Loader loader = trainer.loader(data.train);
  Checkpointer checkpointer(trainer, loader);
  const bool reports = world.rank() == 0;
  // A launcher gives ranks terminals of its own (Open MPI does to rank 0) and sends what they write anywhere, to a file
  // as well: lines that are written over are for a rank that runs alone.
  Progress progress(stdout, world.size() == 1 && Progress::writes_to_terminal(stdout));
  const auto note = [&](const std::string& text) {
    if (reports) progress.note(text);
  };
  if (!config.job.description.empty()) note(config.job.description);
  if (checkpointer.load()) note(concat("going on after step ", trainer.step_count()));
  std::optional<MetricsLog> log;
  if (reports) log.emplace(config.job.dump_folder, trainer.step_count());
  const double tokens_per_step = static_cast<double>(trainer.batch().global_rows * trainer.batch().seq_len);
  const FlopCount flops = trainer.flops();
  double peak = 0;  // the rate of this rank's matrix products; measured when it is first needed, after the first step
  note(concat(M::name(), " ", config.model.flavor, ": ", grouped_text(trainer.parameter_count()), " parameters, ",
              D::name, ", ", to_string(dtype_of<typename E::Compute>), ", ", world.size(),
              world.size() == 1 ? " rank" : " ranks"));
  for (const std::string& warning : trainer.lr_schedule().warnings()) note("warning: " + warning);

  const std::int64_t steps = config.training.steps;
  bool stopped = false;
  clock.take();
  while (trainer.step_count() < steps && !stopped) {
    const auto begin = StepClock::Clock::now();
    const HostBatch batch = loader.next();
    clock.loaded(StepClock::Clock::now() - begin);
    trainer.step(batch);
    clock.stepped();
    const std::int64_t step = trainer.step_count();
    stopped = trainer.mesh().world().reduce_value(std::int32_t{stop()}, Reduce::max) != 0;
    const bool validates = data.held_out && (step == 1 || step % config.validation.freq == 0 || step == steps);
    if (step == 1 || step % config.metrics.log_freq == 0 || step == steps || stopped || validates) {
      const StepResult result = trainer.result();
      const auto rates = clock.take();
      const double elapsed = clock.elapsed();
      if (peak == 0) {
        peak = measure_matmul_rate<typename E::Compute, D>(trainer.queue()) * world.size();
        clock.take();
      }
      StepMetrics m;
      m.step = step;
      m.loss = result.loss;
      m.grad_norm = result.grad_norm;
      m.lr = result.lr;
      m.tokens_per_second = tokens_per_step / rates.seconds_per_step;
      m.peak_memory_bytes = peak_memory_bytes(trainer.memory());
      m.mfu = flops.per_token * m.tokens_per_second / peak;
      m.mfu_causal = flops.per_token_causal * m.tokens_per_second / peak;
      m.data_loading = rates.data_loading;
      m.tokens = checkpointer.tokens_seen();
      m.elapsed_seconds = elapsed;
      m.experts = trainer.expert_load();
      if (validates) m.held_out_loss = validate(trainer, data.held_out, config.validation.steps);
      if (reports) {
        log->write(m);
        progress.report(m, steps, rates.seconds_per_step);
      }
      if (validates) clock.take();
    }
    checkpointer.save(step, step == steps, stopped);
  }
  if (stopped) note(concat("stopped after step ", trainer.step_count()));
  if (data.held_out && trainer.step_count() == steps) {
    const double loss = validate(trainer, data.held_out, -1);
    std::optional<double> bigram;
    if (data.text) bigram = Bigram(*data.text).loss(*data.held_out_text);
    if (reports) progress.note(held_out_text(loss, bigram));
  }
  return trainer.step_count();
}

}  // namespace ashlar::inline v0
