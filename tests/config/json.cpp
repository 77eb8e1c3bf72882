#include "ashlar/config/json.hpp"

#include <cstdio>
#include <filesystem>
#include <random>

#include "catch.hpp"

using namespace ashlar;
using Catch::Matchers::StartsWith;

namespace {

Config from_json(std::string_view text) {
  Config config;
  FieldList list = fields(config);
  read_json(list, text, "run.json");
  return config;
}

}  // namespace

TEST_CASE("sections and fields are read, comments are allowed, the rest keeps its default") {
  const Config config = from_json(R"({
    // the smallest model there is
    "training": {"seq_len": 256, "max_norm": 2, "seed": 9007199254740993}, /* and */
    "checkpoint": {"enable": true, "exclude_from_loading": ["optimizer", "a,b"]},
    "lr_scheduler": {"decay_ratio": 0.5, "decay_type": "cosine"}
  })");
  CHECK(config.training.seq_len == 256);
  CHECK(config.training.max_norm == 2.0);
  CHECK(config.training.seed == 9007199254740993);
  CHECK(config.checkpoint.enable);
  CHECK(config.checkpoint.exclude_from_loading == std::vector<std::string>{"optimizer", "a,b"});
  CHECK(config.lr_scheduler.decay_ratio == 0.5);
  CHECK(config.lr_scheduler.decay_type == "cosine");
  CHECK(config.training.steps == 10000);
  CHECK(!from_json(R"({"lr_scheduler": {"decay_ratio": null}})").lr_scheduler.decay_ratio);
}

TEST_CASE("fields that the file sets are marked") {
  Config config;
  FieldList list = fields(config);
  read_json(list, R"({"training": {"seq_len": 2048}})", "run.json");
  CHECK(list.find("training.seq_len")->given);
  CHECK(!list.find("training.steps")->given);
}

TEST_CASE("unknown names are errors that name the file, the dotted key and the nearest valid name") {
  CHECK_THROWS_WITH(from_json(R"({"training": {"seqlen": 1}})"),
                    "run.json: unknown key \"training.seqlen\"; the nearest valid name is \"training.seq_len\"");
  CHECK_THROWS_WITH(from_json(R"({"trainig": {"seq_len": 1}})"),
                    "run.json: unknown section \"trainig\"; the nearest valid name is \"training\"");
}

TEST_CASE("values of another type are errors that name the file and the dotted key") {
  CHECK_THROWS_WITH(from_json(R"({"training": {"seq_len": "256"}})"),
                    "run.json: training.seq_len: expected an integer of 32 bits, found \"256\"");
  CHECK_THROWS_WITH(from_json(R"({"training": {"seq_len": 2.5}})"),
                    ContainsText("expected an integer of 32 bits, found 2.5"));
  CHECK_THROWS_WITH(from_json(R"({"training": {"seq_len": 4294967297}})"),
                    ContainsText("expected an integer of 32 bits"));
  CHECK_THROWS_WITH(from_json(R"({"training": {"seed": 18446744073709551615}})"),
                    ContainsText("an integer of 64 bits"));
  CHECK_THROWS_WITH(from_json(R"({"training": {"seed": 9223372036854775808}})"), ContainsText("an integer of 64 bits"));
  CHECK(from_json(R"({"training": {"seed": 9223372036854775807}})").training.seed == 9223372036854775807);
  CHECK_THROWS_WITH(from_json(R"({"checkpoint": {"enable": 1}})"),
                    ContainsText("checkpoint.enable: expected true or false"));
  CHECK_THROWS_WITH(from_json(R"({"training": {"dataset": 5}})"),
                    ContainsText("training.dataset: expected a text, found 5"));
  CHECK_THROWS_WITH(from_json(R"({"optimizer": {"lr": [1]}})"),
                    ContainsText("optimizer.lr: expected a number, found [1]"));
  CHECK_THROWS_WITH(from_json(R"({"lr_scheduler": {"decay_ratio": "none"}})"), ContainsText("a number or null"));
  CHECK_THROWS_WITH(from_json(R"({"checkpoint": {"exclude_from_loading": ["a", 1]}})"),
                    ContainsText("a list of texts"));
  CHECK_THROWS_WITH(from_json(R"({"training": 3})"), "run.json: training: expected an object of fields, found 3");
  CHECK_THROWS_WITH(from_json("[]"), "run.json: expected an object of sections, found []");
}

TEST_CASE("values outside of a field's check are errors that name the file") {
  CHECK_THROWS_WITH(from_json(R"({"training": {"seq_len": 0}})"),
                    "run.json: training.seq_len: must be at least 1, found 0");
  CHECK_THROWS_WITH(from_json(R"({"training": {"dataset": "txt"}})"), ContainsText("the nearest is text"));
}

TEST_CASE("what is not JSON is an error that names the file") {
  for (const char* text : {"", "{", "{\"training\": }", "{\"a\" 1}", "{} {}", "{\"optimizer\": {\"lr\": 1e999}}",
                           "{\"job\": {\"description\": \"\xff\"}}", "/* open"})
    CHECK_THROWS_WITH(from_json(text), StartsWith("run.json: not JSON: "));
}

TEST_CASE("deep nesting is an error, not a stack overflow") {
  for (const std::size_t depth : {20, 1000000}) {
    const std::string nested = std::string(depth, '[') + std::string(depth, ']');
    CHECK_THROWS_WITH(from_json(nested), "run.json: is nested too deep for a configuration");
    CHECK_THROWS_WITH(from_json("{\"training\": {\"seed\": " + nested + "}}"), ContainsText("nested too deep"));
  }
}

TEST_CASE("a key that stands twice is an error") {
  CHECK_THROWS_WITH(from_json(R"({"training": {"steps": 1}, "training": {"seed": 1}})"),
                    "run.json: the key \"training\" stands twice in one object");
  CHECK_THROWS_WITH(from_json(R"({"training": {"steps": 1, "steps": 2}})"), ContainsText("\"steps\" stands twice"));
  CHECK_NOTHROW(from_json(R"({"training": {"steps": 1}, "validation": {"steps": 2}})"));
}

TEST_CASE("groups of parameters are objects") {
  const Config config = from_json(R"({"optimizer": {"groups": [
    {"names": "layers.*.w*", "rule": "Muon", "lr_factor": 0.5},
    {"names": "*", "weight_decay": 0}]}})");
  REQUIRE(config.optimizer.groups.size() == 2);
  CHECK(config.optimizer.groups[0] == GroupOptions{"layers.*.w*", "Muon", 0.5, {}});
  CHECK(config.optimizer.groups[1] == GroupOptions{"*", "", 1, 0.0});
  CHECK(from_json(to_json(config)).optimizer.groups == config.optimizer.groups);
  const auto refuses = [](const char* groups, const char* message) {
    CHECK_THROWS_WITH(from_json(concat("{\"optimizer\": {\"groups\": ", groups, "}}")), ContainsText(message));
  };
  refuses("{}", "run.json: optimizer.groups: expected a list of objects, found {}");
  refuses("[1]", "expected a list of objects, found [1]");
  refuses(R"([{"rule": "Muon"}])", "run.json: optimizer.groups: a group needs names");
  refuses(R"([{"names": "*", "rul": "Muon"}])", "unknown name \"rul\"; the nearest valid name is \"rule\"");
  refuses(R"([{"names": 1}])", "run.json: optimizer.groups: names: expected a text, found 1");
  refuses(R"([{"names": "*", "lr_factor": -1}])", "optimizer.groups: lr_factor: must be at least 0, found -1");
}

TEST_CASE("a configuration comes back from its JSON, and its text is stable") {
  Config config;
  config.job.description = "quotes \" and \\ and \n and \u00fc";
  config.training.seed = 9007199254740993;
  config.optimizer.lr = 0.1 + 0.2;
  config.lr_scheduler.decay_ratio = 1.0 / 3.0;
  config.checkpoint.exclude_from_loading = {"a,b", ""};
  config.checkpoint.enable = true;
  const std::string text = to_json(config);
  const Config back = from_json(text);
  CHECK(back.job.description == config.job.description);
  CHECK(back.training.seed == config.training.seed);
  CHECK(back.optimizer.lr == config.optimizer.lr);
  CHECK(back.lr_scheduler.decay_ratio == config.lr_scheduler.decay_ratio);
  CHECK(back.checkpoint.exclude_from_loading == config.checkpoint.exclude_from_loading);
  CHECK(to_json(back) == text);
  CHECK(to_json(from_json(to_json(Config()))) == to_json(Config()));
}

TEST_CASE("text that is no UTF-8 still makes JSON") {
  Config config;
  config.training.dataset_path = "caf\xe9";
  CHECK(from_json(to_json(config)).training.dataset_path == "caf\xef\xbf\xbd");
}

TEST_CASE("a file that can't be read is named") {
  Config config;
  FieldList list = fields(config);
  CHECK_THROWS_WITH(read_json_file(list, "no/such/file.json"), "no/such/file.json: can't read the configuration file");
  CHECK_THROWS_AS(read_json_file(list, std::filesystem::temp_directory_path().string()), ConfigError);
}

TEST_CASE("mutated files give a configuration or a ConfigError, nothing else") {
  Config config;
  config.checkpoint.exclude_from_loading = {"optimizer", "lr_scheduler"};
  config.lr_scheduler.decay_ratio = 0.5;
  config.optimizer.groups = {{"layers.*", "Muon", 0.5, 0.1}, {"*", "", 1, {}}};
  const std::string original = to_json(config);
  constexpr std::string_view pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         "\"",
                                         ":",
                                         ",",
                                         "null",
                                         "true",
                                         "-1",
                                         "1e309",
                                         "0.5",
                                         "99999999999999999999",
                                         "\\u0000",
                                         "\\ud800",
                                         "//",
                                         "/*",
                                         "*/",
                                         "\xc3\x28",
                                         "\"training\"",
                                         "\"steps\"",
                                         "\xef\xbb\xbf",
                                         "NaN",
                                         "[[[[[[[[",
                                         "{\"\":{}}"};
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  int accepted = 0, refused = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    std::string text = original;
    for (std::size_t edits = 1 + below(4); edits-- && !text.empty();) {
      const std::size_t at = below(text.size());
      switch (below(5)) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, 1 + below(8)); break;
        case 2: text.insert(at, pieces[below(std::size(pieces))]); break;
        case 3: text.resize(at); break;
        case 4: text.insert(at, text.substr(below(text.size()), below(40))); break;
      }
    }
    INFO(text);
    try {
      Config result = from_json(text);
      validate(result);
      ++accepted;
    } catch (const ConfigError& error) {
      REQUIRE(std::string_view(error.what()).size() > 10);
      ++refused;
    }  // any other exception fails the test
  }
  CHECK(accepted > 10);
  CHECK(refused > 1000);
  CHECK_THROWS_AS(from_json(std::string(100000, '[')), ConfigError);
  CHECK_THROWS_AS(from_json("{\"training\": {\"seed\": " + std::string(100000, '[')), ConfigError);
}
