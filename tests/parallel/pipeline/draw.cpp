#include "ashlar/parallel/pipeline/draw.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "ashlar/parallel/pipeline/csv.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

TEST_CASE("1F1B, drawn") {
  REQUIRE(draw(one_f_one_b(3, 4)) ==
          "rank 0 | F0 F1 F2  .  .  .  . B0 -- F3 B1 --  . B2 --  . B3 --\n"
          "rank 1 |  . F0 F1  .  . B0 -- F2 B1 -- F3 B2 --  . B3 --  .  .\n"
          "rank 2 |  .  . F0 B0 -- F1 B1 -- F2 B2 -- F3 B3 --  .  .  .  .\n");
}

TEST_CASE("The later of two stages is in lower case, more have numbers, wide cells make wide columns") {
  REQUIRE(draw(zbv_zero_bubble(2, 1)) ==
          "rank 0 | F0  .  . f0 i0 w0  . I0 W0\n"
          "rank 1 |  . F0 f0  .  . i0 I0 W0 w0\n");
  REQUIRE(draw(parse_csv("0F0,1F0,2F0,2B0,1B0,0B0\n", "x")) == "rank 0 | 0F0 1F0 2F0 2B0  -- 1B0  -- 0B0  --\n");
  REQUIRE(draw(gpipe(1, 11)).find("F9 F10  B0  -- ") != std::string::npos);
}

TEST_CASE("Messages are not drawn, costs are") {
  REQUIRE(draw(lower(one_f_one_b(3, 4))) == draw(one_f_one_b(3, 4)));
  REQUIRE(draw(gpipe(1, 1), {2, 1, 0}) == "rank 0 | F0 -- B0\n");
}

TEST_CASE("The pictures of docs/pipeline_schedules.md are drawn from the code") {
  const auto root = std::filesystem::absolute(__FILE__).parent_path().parent_path().parent_path().parent_path();
  std::ifstream file(root / "docs/pipeline_schedules.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  REQUIRE_FALSE(page.empty());
  for (const NamedSchedule& named : named_schedules) {
    CAPTURE(named.name);
    REQUIRE(page.find("```text\n" + draw(named.make(3, 6)) + "```") != page.npos);
  }
  REQUIRE(page.find("```text\n" + write_csv(one_f_one_b(2, 2)) + "```") != page.npos);
}
