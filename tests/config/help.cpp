#include "ashlar/config/help.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("the program's help lists the subcommands") {
  const std::string text = help_text("llama3");
  for (const SubcommandNote& note : subcommand_notes) {
    CHECK_THAT(text, ContainsText(std::string(note.name)));
    CHECK_THAT(text, ContainsText(std::string(note.meaning)));
  }
  CHECK_THAT(text, ContainsText("usage: llama3 SUBCOMMAND"));
}

TEST_CASE("a subcommand's help has each field with default, unit, allowed values and meaning") {
  const std::string text = help_text("llama3", "train");
  CHECK_THAT(text, ContainsText("\ntraining: What is trained on"));
  CHECK_THAT(text, ContainsText("  --training.seq_len INTEGER  (default 2048; tokens; at least 1)\n"
                                "      length of a training sequence\n"));
  CHECK_THAT(text, ContainsText("  --checkpoint.enable [true|false]  (default false)\n"));
  CHECK_THAT(text,
             ContainsText("  --lr_scheduler.decay_ratio NUMBER|none  (default none; at least 0 and at most 1)\n"));
  CHECK_THAT(text, ContainsText("one of GPipe, 1F1B, ZBVZeroBubble"));
  CHECK_THAT(text, ContainsText("--config FILE"));
  Config config;
  const FieldList list = fields(config);
  for (const FieldList::Section& section : list.sections())
    for (const Field& field : section.fields)
      CHECK((text.find("--" + field.name + " ") != text.npos) == !detail::is_foreign_section(section.name, "train"));
}

TEST_CASE("a subcommand's own section is in its help alone") {
  CHECK_THAT(help_text("llama3", "plan"), ContainsText("--plan.json") && ContainsText("\"plan.\" may be left out"));
  CHECK_THAT(help_text("llama3", "train"), !ContainsText("--plan.json") && !ContainsText("--generate.prompt"));
  CHECK_THAT(help_text("llama3", "generate"), ContainsText("--generate.prompt") && !ContainsText("--plan.json"));
}

TEST_CASE("docs/configuration.md is what the field list says") {
  // ASHLAR_UPDATE_DOCS=1 in the environment writes the page in place of comparing it.
  const auto root = std::filesystem::absolute(__FILE__).parent_path().parent_path().parent_path();
  const std::filesystem::path page = root / "docs" / "configuration.md";
  if (std::getenv("ASHLAR_UPDATE_DOCS")) std::ofstream(page, std::ios::binary) << reference_page();
  std::ifstream file(page, std::ios::binary);
  INFO("write it with ASHLAR_UPDATE_DOCS=1: " << page);
  REQUIRE(file.is_open());
  const std::string found{std::istreambuf_iterator<char>(file), {}};
  CHECK(found == reference_page());
}
