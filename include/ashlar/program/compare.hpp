// What --debug.record and --debug.compare do: a run's steps as checkpoints of all that was observed, and the comparison
// of another run with them. A tensor that was observed is a box of the step's, as a weight is of the model's: so a
// recorded step is a checkpoint, whatever the layouts of the two. Read next: report/compare.hpp, report/observers.hpp.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ashlar/checkpoint/state.hpp"
#include "ashlar/comm/communicator.hpp"
#include "ashlar/config/config.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/mesh/mesh.hpp"
#include "ashlar/report/compare.hpp"
#include "ashlar/report/observers.hpp"
#include "ashlar/train/checkpointer.hpp"

namespace ashlar::inline v0 {

/// A trainer of whatever model, whose last step can be looked at. Copies share it.
struct ObservedRun {
  const Mesh* mesh = nullptr;
  DType computed_in = DType::f32;
  std::vector<StateRange> gradients, weights;              // this rank's
  std::function<std::int64_t()> step;                      // takes a step and returns its number; collective
  std::function<std::vector<RecordedTensor>&()> observed;  // in the last step
};

/// The run that `config` describes on the rows of `source`, from its initial weights or the checkpoint that it names.
/// Collective.
template <class M>
ObservedRun observe_run(const Config& config, Communicator world,
                        std::shared_ptr<const Source<HostBatchOf<M>>> source) {
  struct Run {
    Run(const Config& c, Communicator w, std::shared_ptr<const Source<HostBatchOf<M>>> s)
        : trainer(c, std::move(w)), loader(trainer.loader(std::move(s))) {
      Checkpointer(trainer, loader).load();
      trainer.observe(&recorder);
    }
    Trainer<M> trainer;
    Loader<HostBatchOf<M>> loader;
    TensorRecorder<typename M::Environment::Device> recorder;
  };
  const auto run = std::make_shared<Run>(config, std::move(world), std::move(source));
  std::vector<StateRange> weights = trained_state(run->trainer);
  for (auto& others : {frozen_state(run->trainer), buffer_state(run->trainer)})
    weights.insert(weights.end(), others.begin(), others.end());
  return {&run->trainer.mesh(),
          dtype_of<typename M::Environment::Compute>,
          gradient_state(run->trainer),
          std::move(weights),
          [run] {
            run->recorder.clear();
            run->trainer.step(run->loader.next());
            return run->trainer.step_count();
          },
          [run]() -> std::vector<RecordedTensor>& { return run->recorder.records(); }};
}
using MakeRun = std::function<ObservedRun(const Config&, Communicator)>;

/// How many ranks the runs of debug.record and debug.compare have: the product of the degrees, or of the reference's
/// where that is more. Throws ConfigError for a debug.layout that is none.
int compared_ranks(const Config& config);

/// Trains to training.steps and writes each step into debug.record, as step-<N>. Returns the last. Collective.
std::int64_t record_run(const Config& config, Communicator world, const MakeRun& make);

/// How two runs agree; the same on all ranks of the run that is tested.
struct Comparison {
  std::int64_t steps = 0, tensors = 0;  // compared
  double greatest = 0;                  // of the relative differences, that of weights apart
  std::string where;                    // it was seen
  std::string difference;               // the first above the tolerance, in words; empty: they agree
};

/// "1234 tensors of 3 steps agree; ...".
std::string to_string(const Comparison& c);

/// Trains to training.steps, or as far as the reference goes, and compares each step with the reference: what
/// debug.compare names, on the same global batches. Stops at the first difference. The first ranks of `world` run the
/// one and the first ranks run the other. Collective.
Comparison compare_runs(const Config& config, Communicator world, const MakeRun& make);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/compare.ipp"
#endif
