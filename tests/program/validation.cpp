#include "ashlar/program/validation.hpp"

#include <array>

#include "ashlar/checkpoint/save.hpp"
#include "ashlar/program/convert.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

namespace {

/// A checkpoint without tensors, of a run of this configuration.
void save(const std::filesystem::path& folder, std::int64_t step, const std::string& config) {
  Manifest m;
  m.step = step;
  m.config = config;
  save_checkpoint(step_folder(folder / "checkpoint", step), std::span<const StateRange>(), m, Communicator());
}

}  // namespace

TEST_CASE("it is said where a checkpoint's run trained on what is held out now") {
  const TemporaryFolder folder;
  Config made;
  made.training.dataset_path = "corpus.txt";
  save(folder.path(), 1, to_json(made));
  made.validation.enable = true;
  made.validation.held_out_fraction = 0.05;
  save(folder.path(), 2, to_json(made));
  made.validation.held_out_fraction = 0.1;
  save(folder.path(), 3, to_json(made));
  made.validation.enable = false;
  made.training.dataset = "random";
  save(folder.path(), 4, to_json(made));
  save(folder.path(), 5, "");
  save(folder.path(), 6, R"({"training": {"a_field_of_another_version": 1}})");

  Config c;
  c.job.dump_folder = folder.path().string();
  const auto note = [&](int step) {
    c.checkpoint.load_step = step;
    return trained_on_note(c, open_checkpoint(checkpoint_path(c)).path);
  };
  CHECK_THAT(note(1), ContainsText("held out nothing of corpus.txt"));
  CHECK_THAT(note(2), ContainsText("held out only 0.05 of corpus.txt"));
  for (int step : {3, 4, 5, 6}) CHECK(note(step).empty());
  CHECK(note(-1).empty());  // the newest
  c.checkpoint.initial_load_path = c.job.dump_folder + "/checkpoint/step-1";
  CHECK_THAT(note(-1), ContainsText("held out nothing"));
}
