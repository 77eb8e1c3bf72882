#include "ashlar/checkpoint/folder.hpp"

#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;
namespace fs = std::filesystem;

namespace {

void make(const fs::path& folder, std::int64_t step, bool complete) {
  fs::create_directories(step_folder(folder, step));
  std::ofstream(step_folder(folder, step) / "rank-00000-of-00001.safetensors") << "data";
  if (complete) std::ofstream(step_folder(folder, step) / Manifest::file_name) << "{}";
}
std::vector<std::int64_t> steps(const fs::path& folder) {
  std::vector<std::int64_t> all;
  for (const StepFolder& s : list_steps(folder)) all.push_back(s.step);
  return all;
}
using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("Checkpoints are found by their names and manifests") {
  const TemporaryFolder folder;
  CHECK(list_steps(folder.path() / "none").empty());
  CHECK_FALSE(newest_step(folder.path()));
  make(folder.path(), 100, true);
  make(folder.path(), 20, true);
  make(folder.path(), 300, false);
  for (const char* other : {"step-", "step-7x", "step--7", "step-007", "xstep-7", "step-99999999999999999999"})
    fs::create_directory(folder.path() / other);
  CHECK(steps(folder.path()) == Steps{20, 100, 300});
  CHECK(newest_step(folder.path()) == 100);
  remove_checkpoint(step_folder(folder.path(), 100));
  CHECK(newest_step(folder.path()) == 20);
}

TEST_CASE("A purge keeps the newest complete ones and what was just saved") {
  const TemporaryFolder folder;
  for (std::int64_t step : {10, 20, 40, 50}) make(folder.path(), step, true);
  for (std::int64_t step : {30, 60}) make(folder.path(), step, false);
  purge(folder.path(), 0, 50);
  CHECK(steps(folder.path()) == Steps{10, 20, 30, 40, 50, 60});
  purge(folder.path(), 3, 50);
  CHECK(steps(folder.path()) == Steps{20, 40, 50, 60});
}

TEST_CASE("After a return to an older step, what was saved since is out of the way, but not lost") {
  const TemporaryFolder folder;
  for (std::int64_t step : {10, 20, 40, 50}) make(folder.path(), step, true);
  make(folder.path(), 60, false);
  for (int again = 0; again < 2; ++again) {
    purge(folder.path(), again == 0 ? 0 : 2, 20);
    CHECK(steps(folder.path()) == Steps{10, 20, 60});
    CHECK(newest_step(folder.path()) == 20);
    CHECK(is_complete(folder.path() / "step-50.abandoned"));
    make(folder.path(), 50, true);
  }
}

TEST_CASE("What can't be read is not taken for what is not there") {
  const TemporaryFolder folder;
  make(folder.path() / "checkpoint", 10, true);
  CHECK_FALSE(newest_step(folder.path() / "none"));
  CHECK_FALSE(newest_step(folder.path() / "checkpoint/step-10/checkpoint.json"));
  fs::create_symlink("loop", folder.path() / "loop");
  CHECK(mentions(error_of([&] { list_steps(folder.path() / "loop"); }), "loop: can't be read"));
  CHECK(mentions(error_of([&] { is_complete(folder.path() / "loop"); }), "loop: can't be read"));
  fs::create_symlink("step-20", folder.path() / "checkpoint/step-20");
  CHECK(mentions(error_of([&] { newest_step(folder.path() / "checkpoint"); }), "step-20: can't be read"));
}
