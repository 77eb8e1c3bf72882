#include "ashlar/report/metrics.hpp"

#include <fstream>
#include <iterator>
#include <limits>
#include <vector>

#include "catch.hpp"

using namespace ashlar;

namespace {

/// A folder of its own, gone with this.
struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / "ashlar_metrics_test" / "run";
  Folder() { std::filesystem::remove_all(path.parent_path()); }
  ~Folder() { std::filesystem::remove_all(path.parent_path()); }
};

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::int64_t> steps(const std::filesystem::path& path) {
  std::vector<std::int64_t> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) out.push_back(detail::step_of_line(line).value_or(-1));
  return out;
}

StepMetrics at_step(std::int64_t step) {
  StepMetrics m;
  m.step = step;
  return m;
}

}  // namespace

TEST_CASE("a record is one flat JSON object with all digits") {
  StepMetrics m{.step = 3,
                .loss = 0.1 + 0.2,
                .grad_norm = 1.5,
                .lr = 8e-4,
                .tokens_per_second = 1234.5,
                .peak_memory_bytes = 5'000'000'000,
                .mfu = 0.5,
                .mfu_causal = 0.25,
                .data_loading = 0.01,
                .tokens = 6144,
                .elapsed_seconds = 2};
  CHECK(to_json_line(m) ==
        R"({"step":3,"loss":0.30000000000000004,"grad_norm":1.5,"lr":8e-04,"tokens_per_second":1234.5,)"
        R"("peak_memory_bytes":5000000000,"mfu":0.5,"mfu_causal":0.25,"data_loading":0.01,"tokens":6144,)"
        R"("elapsed_seconds":2})");
  m.experts = ExpertLoad{0.5, 1.75, 0.875, 0};
  CHECK_THAT(to_json_line(m), ContainsText(R"("elapsed_seconds":2,"expert_load_least":0.5,"expert_load_most":1.75,)"
                                           R"("expert_load_entropy":0.875,"dropped_tokens":0})"));
  m.experts.reset();
  m.held_out_loss = 4.25;
  CHECK_THAT(to_json_line(m), ContainsText(R"("elapsed_seconds":2,"held_out_loss":4.25})"));
}

TEST_CASE("numbers that JSON has not are null") {
  StepMetrics m = at_step(1);
  m.loss = std::numeric_limits<double>::quiet_NaN();
  m.grad_norm = std::numeric_limits<double>::infinity();
  m.held_out_loss = -std::numeric_limits<double>::infinity();
  CHECK_THAT(to_json_line(m),
             ContainsText(R"("loss":null,"grad_norm":null,)") && ContainsText(R"("held_out_loss":null})"));
}

TEST_CASE("lines are in the file as soon as they are written") {
  const Folder folder;
  MetricsLog log(folder.path);
  CHECK(log.path() == folder.path / "metrics.jsonl");
  CHECK(contents(log.path()).empty());
  log.write(at_step(1));
  CHECK(contents(log.path()) == to_json_line(at_step(1)) + "\n");
  log.write(at_step(10));
  CHECK(steps(log.path()) == std::vector<std::int64_t>{1, 10});
  CHECK(!std::filesystem::exists(folder.path / "metrics.jsonl.new"));
}

TEST_CASE("steps rise") {
  const Folder folder;
  MetricsLog log(folder.path, 5);
  CHECK_THROWS_AS(log.write(at_step(5)), Error);
  log.write(at_step(6));
  CHECK_THROWS_AS(log.write(at_step(6)), Error);
}

TEST_CASE("a run that goes on has one line a step") {
  const Folder folder;
  {
    MetricsLog log(folder.path);
    for (int step = 1; step <= 8; ++step) log.write(at_step(step));
  }
  const std::string before = contents(folder.path / "metrics.jsonl");
  {
    MetricsLog log(folder.path, 6);  // killed after step 8, goes on from the checkpoint of step 6
    CHECK(before.starts_with(contents(log.path())));
    CHECK(steps(log.path()) == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6});
    for (int step = 7; step <= 9; ++step) log.write(at_step(step));
    CHECK(steps(log.path()) == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
  MetricsLog anew(folder.path);
  CHECK(contents(anew.path()).empty());
}

TEST_CASE("lines that are not whole are dropped") {
  const Folder folder;
  std::filesystem::create_directories(folder.path);
  const std::string whole = to_json_line(at_step(2));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    std::ofstream(folder.path / "metrics.jsonl", std::ios::binary) << to_json_line(at_step(1)) << "\n"
                                                                   << whole.substr(0, cut);
    MetricsLog log(folder.path, 4);
    CHECK(contents(log.path()) == to_json_line(at_step(1)) + "\n");
  }
  std::ofstream(folder.path / "metrics.jsonl", std::ios::binary) << "\n{}\nnoise}\n{\"step\":x,}\n{\"step\":7}\n"
                                                                 << whole << "\n"
                                                                 << whole << "\n{\"step\":1,}\n"
                                                                 << at_step(3).step;
  MetricsLog log(folder.path, 4);
  CHECK(contents(log.path()) == whole + "\n");  // the same step twice: the first line stays
}

TEST_CASE("a folder that can't be made is an error that names the flag and the reason") {
  const Folder folder;
  std::filesystem::create_directories(folder.path.parent_path());
  std::ofstream(folder.path) << "a file where the folder should be";
  CHECK_THROWS_WITH(MetricsLog(folder.path),
                    ContainsText("--job.dump_folder " + folder.path.string()) && ContainsText("Not a directory"));
}

#if defined(__linux__)
TEST_CASE("a full disk is an error") {
  const Folder folder;
  std::filesystem::create_directories(folder.path);
  std::filesystem::create_symlink("/dev/full", folder.path / "metrics.jsonl.new");
  // The new file is the device. Nothing is written at the opening, so it takes the log's place; the first line fails.
  MetricsLog log(folder.path);
  CHECK_THROWS_WITH(log.write(at_step(1)), ContainsText("can't write") && ContainsText("metrics.jsonl"));
}
#endif
