#include "ashlar/parallel/pipeline/csv.hpp"

#include <cstdio>

#include "ashlar/core/random.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

namespace {

/// A schedule in the loop layout with two stages a rank, as users write them: forwards of the first stage, of the
/// second, then both halves of the backward, two micro-batches at a time.
const std::string looped =
    "0F0,0F1,0F2,0F3,,,2F0,2F1,2F2,2F3,,2I0,2W0,2I1,2W1,,0I0,0W0,0I1,0W1,2I2,2W2,2I3,2W3,,0I2,0W2,0I3,0W3\n"
    ",1F0,1F1,1F2,1F3,,3F0, 3F1 ,3F2,3F3,3I0,3W0,3I1,3W1,1I0,1W0,1I1,1W1,3I2,3W2,3I3,3W3,1I2,1W2,1I3,1W3\r\n\n";

}  // namespace

TEST_CASE("A written schedule reads as what it was") {
  for (const NamedSchedule& named : named_schedules)
    for (int ranks : {1, 2, 3, 8})
      for (int m : {1, 2, 7, 12}) {
        const Schedule schedule = named.make(ranks, m);
        REQUIRE(parse_csv(write_csv(schedule), "x") == schedule);
      }
  REQUIRE(write_csv(one_f_one_b(2, 2)) == "0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n");
}

TEST_CASE("A user's schedule: idle cells, blanks, any layout") {
  const Schedule schedule = parse_csv(looped, "x");
  REQUIRE(schedule.ranks == 2);
  REQUIRE(schedule.stages == 4);
  REQUIRE(schedule.micro_batches == 4);
  REQUIRE(schedule.stage_to_rank == loop_layout(2, 4));
  REQUIRE(schedule.actions[1][5] == Action{Kind::forward, 3, 1});
  REQUIRE(parse_csv(write_csv(schedule), "x") == schedule);
}

TEST_CASE("What is wrong with a file is said with row and column") {
  const auto wrong = [](const std::string& text, const std::string& message) {
    CAPTURE(text);
    REQUIRE_THROWS_AS(parse_csv(text, "f.csv"), ConfigError);
    REQUIRE_THROWS_WITH(parse_csv(text, "f.csv"), "f.csv: " + message);
  };
  const std::string form = " is not a stage, one of F, B, I, W and a micro-batch, as in 0F3";
  wrong("", "row 1, column 1: there is no row: the file has one for each rank");
  wrong("\n \n", "row 1, column 1: there is no row: the file has one for each rank");
  wrong("0F0,0B0\n,\n1F0,1B0\n", "row 2, column 1: this rank does nothing");
  wrong("0F0,0X0\n", "row 1, column 2: \"0X0\"" + form);
  wrong("0F0,0B\n", "row 1, column 2: \"0B\"" + form);
  wrong("0F0,F0\n", "row 1, column 2: \"F0\"" + form);
  wrong("0F0,0B0x\n", "row 1, column 2: \"0B0x\"" + form);
  wrong("0F0,-0B0\n", "row 1, column 2: \"-0B0\"" + form);
  wrong("0F0,0B-0\n", "row 1, column 2: \"0B-0\"" + form);
  wrong("0F0,0B0;0F1\n", "row 1, column 2: \"0B0;0F1\"" + form);
  wrong("0F0,0B99999999999\n", "row 1, column 2: \"0B99999999999\"" + form);
  wrong("0F0,0B0,,0F0\n", "row 1, column 4: 0F0 is there twice");
  wrong("0F0,0B0,0I0\n", "row 1, column 3: stage 0 does the backward of micro-batch 0 whole and in halves");
  wrong("0F0,0F1,0B0\n",
        "row 1, column 2: 0F1 makes it 1 x 2 stages x micro-batches, too many for the 3 actions of the file");
  wrong("0F0,,2147483647B0\n",
        "row 1, column 3: 2147483647B0 makes it 2147483648 x 1 stages x micro-batches, too many for the 2 actions of "
        "the file");
  wrong("0F0,0B0,0F1,0I1\n", "row 1, column 5: rank 0 never runs 0W1");
  wrong("0F0,0I0,0W0,0F1\n", "row 1, column 5: rank 0 never runs 0B1");
  wrong("0F0,0B0\n2F0,2I0,2W0,,\n",
        "row 2, column 1: 2F0 makes it 3 x 1 stages x micro-batches, too many for the 5 actions of the file");
  wrong("0F0,0I0,0W0\n2F0,2I0,2W0,,\n", "row 2, column 6: no row has stage 1");
  wrong("0F0,0B0\n1F0,1B0,0F0\n", "row 2, column 3: stage 0 belongs to rank 0, not to rank 1");
  wrong("0B0,0F0\n",
        "row 1, column 1: rank 0 waits for ever before 0B0: what it needs comes later, or waits for this rank");
  wrong("0F0,0B0,0F1,0B1\n1F0,1F1,1B0,1B1\n",
        "row 1, column 2: rank 0 waits for ever before 0B0: what it needs comes later, or waits for this rank");
}

TEST_CASE("Damaged files are read as valid schedules or refused with row and column") {
  const std::string originals[] = {looped, write_csv(zbv_zero_bubble(2, 3)), write_csv(one_f_one_b(3, 4))};
  const std::string letters = std::string("0123456789FBIWX,,\n\r -\xff") + '\0';
  int refused = 0, accepted = 0;
  for (std::uint64_t trial = 0; trial < 6000; ++trial) {
    const RandomStream random(7, trial);
    std::uint64_t draw = 0;
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.below(draw++, n)); };
    std::string text = originals[trial % 3];
    for (std::size_t edits = 1 + below(3); edits-- > 0;) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0: text[at] = letters[below(letters.size())]; break;
        case 1: text.insert(at, 1, letters[below(letters.size())]); break;
        case 2: text.erase(at, 1 + below(4)); break;
        default: text.insert(at, text.substr(below(text.size()), 1 + below(12)));
      }
    }
    try {
      const Schedule schedule = parse_csv(text, "f");
      REQUIRE_FALSE(find_problem(schedule));
      REQUIRE(parse_csv(write_csv(schedule), "f") == schedule);
      ++accepted;
    } catch (const ConfigError& error) {
      const std::string message = error.what();
      REQUIRE(message.find("f: row ") == 0);
      REQUIRE(message.find(", column ") != message.npos);
      ++refused;
    }
  }
  REQUIRE(refused > 3000);
  REQUIRE(accepted > 50);  // blanks and idle cells change nothing
}

TEST_CASE("A file must be there and fit the run") {
  const std::string flag = "--parallelism.pipeline_parallel_schedule_csv ";
  REQUIRE_THROWS_WITH(read_csv("no/such.csv", 2, 4), flag + "no/such.csv is not a file that can be read");
  REQUIRE_THROWS_WITH(read_csv(".", 2, 4), flag + ". is not a file that can be read");
  const std::string path = (std::filesystem::temp_directory_path() / "ashlar_pipeline_schedule.csv").string();
  std::ofstream(path) << looped;
  REQUIRE(read_csv(path, 2, 4) == parse_csv(looped, "x"));
  REQUIRE_THROWS_WITH(read_csv(path, 4, 4),
                      flag + path + " has 2 rows, but --parallelism.pipeline_parallel_degree is 4");
  REQUIRE_THROWS_WITH(read_csv(path, 2, 8), flag + path +
                                                " has 4 micro-batches, but --training.local_batch_size / "
                                                "--parallelism.pipeline_parallel_microbatch_size is 8");
  std::remove(path.c_str());
}
