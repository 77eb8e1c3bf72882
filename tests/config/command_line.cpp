#include "ashlar/config/command_line.hpp"

#include <filesystem>
#include <fstream>
#include <random>

#include "catch.hpp"

using namespace ashlar;
using Catch::Matchers::StartsWith;

namespace {

using Arguments = std::vector<std::string>;

CommandLine parse(const Arguments& arguments) {
  const std::vector<std::string_view> views(arguments.begin(), arguments.end());
  return ashlar::parse(views, "llama3");
}

Config parse_train(Arguments flags) {
  flags.insert(flags.begin(), "train");
  return parse(flags).config;
}

/// A file that lives as long as this.
struct File {
  std::filesystem::path path;
  File(const std::string& name, std::string_view text) : path(std::filesystem::temp_directory_path() / name) {
    std::ofstream(path, std::ios::binary) << text;
  }
  ~File() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("the flags of a training run") {
  const CommandLine line = parse({"train",      "--model.flavor",
                                  "debugmodel", "--training.steps",
                                  "40",         "--training.local_batch_size",
                                  "8",          "--training.global_batch_size",
                                  "8",          "--training.seq_len",
                                  "256",        "--training.mixed_precision_param",
                                  "float32",    "--training.dataset",
                                  "text",       "--training.dataset_path",
                                  "a b.txt",    "--job.dump_folder",
                                  "out",        "--metrics.log_freq",
                                  "1",          "--checkpoint.enable",
                                  "true",       "--checkpoint.interval",
                                  "3",          "--parallelism.data_parallel_shard_degree",
                                  "2",          "--parallelism.tensor_parallel_degree",
                                  "2"});
  CHECK(line.subcommand == Subcommand::train);
  CHECK(line.help.empty());
  CHECK(line.config.training.steps == 40);
  CHECK(line.config.training.local_batch_size == 8);
  CHECK(line.config.training.global_batch_size == 8);
  CHECK(line.config.training.seq_len == 256);
  CHECK(line.config.training.mixed_precision_param == "float32");
  CHECK(line.config.training.dataset_path == "a b.txt");
  CHECK(line.config.job.dump_folder == "out");
  CHECK(line.config.metrics.log_freq == 1);
  CHECK(line.config.checkpoint.enable);
  CHECK(line.config.checkpoint.interval == 3);
  CHECK(line.config.parallelism.data_parallel_shard_degree == 2);
  CHECK(line.config.parallelism.tensor_parallel_degree == 2);
}

TEST_CASE("every subcommand is known by its name") {
  for (Subcommand s :
       {Subcommand::train, Subcommand::evaluate, Subcommand::generate, Subcommand::plan, Subcommand::convert})
    CHECK(parse({std::string(to_string(s))}).subcommand == s);
  CHECK(to_string(Subcommand::evaluate) == "evaluate");
  CHECK(to_string(Subcommand::convert) == "convert");
}

TEST_CASE("values follow a flag or an equals sign; both dashes are one") {
  CHECK(parse_train({"--training.seq_len=64"}).training.seq_len == 64);
  CHECK(parse_train({"--training.seq-len", "64"}).training.seq_len == 64);
  CHECK(parse_train({"--lr-scheduler.warmup-steps=7"}).lr_scheduler.warmup_steps == 7);
  CHECK(parse_train({"--training.global_batch_size", "-1"}).training.global_batch_size == -1);
  CHECK(parse_train({"--job.description=a=b --c"}).job.description == "a=b --c");
  CHECK(parse_train({"--job.description="}).job.description.empty());
  CHECK(parse_train({"--job.description", ""}).job.description.empty());
}

TEST_CASE("booleans stand alone or with a value") {
  CHECK(parse_train({"--checkpoint.enable"}).checkpoint.enable);
  CHECK(parse_train({"--checkpoint.enable", "true"}).checkpoint.enable);
  CHECK(!parse_train({"--checkpoint.enable", "false"}).checkpoint.enable);
  CHECK(!parse_train({"--checkpoint.initial_load_model_only=false"}).checkpoint.initial_load_model_only);
  const Config config = parse_train({"--checkpoint.enable", "--training.steps", "3"});
  CHECK(config.checkpoint.enable);
  CHECK(config.training.steps == 3);
  CHECK_THROWS_WITH(parse_train({"--checkpoint.enable=yes"}),
                    "--checkpoint.enable: expected true or false, found \"yes\"");
  CHECK_THROWS_WITH(parse_train({"--checkpoint.enable", "yes"}), StartsWith("unexpected argument \"yes\""));
}

TEST_CASE("lists are separated by commas") {
  CHECK(parse_train({"--checkpoint.exclude_from_loading", "optimizer,lr_scheduler"}).checkpoint.exclude_from_loading ==
        Arguments{"optimizer", "lr_scheduler"});
  CHECK(parse_train({"--checkpoint.exclude_from_loading="}).checkpoint.exclude_from_loading.empty());
}

TEST_CASE("a subcommand's own fields need no section") {
  const CommandLine plan = parse({"plan", "--model.flavor", "8B", "--json", "--world_size", "64"});
  CHECK(plan.config.plan.json);
  CHECK(plan.config.plan.world_size == 64);
  CHECK(planned_world_size(plan.config) == 64);
  CHECK(parse({"plan", "--json"}).config.plan.world_size == -1);
  CHECK(parse({"plan", "--json", "--model.flavor", "8B"}).config.model.flavor == "8B");
  CHECK(parse({"generate", "--prompt", "Once", "--tokens=5"}).config.generate.prompt == "Once");
  CHECK_THROWS_WITH(parse({"train", "--json"}), StartsWith("unknown flag --json"));
}

TEST_CASE("flags win over the file, the file over the defaults; where --config stands says nothing") {
  const File file("ashlar_command_line_test.json",
                  R"({"training": {"steps": 5, "seq_len": 128}, "optimizer": {"lr": 0.5}})");
  for (const bool file_first : {true, false}) {
    Arguments arguments{"train", "--training.steps", "7"};
    const Arguments config_flag{"--config", file.path.string()};
    arguments.insert(file_first ? arguments.begin() + 1 : arguments.end(), config_flag.begin(), config_flag.end());
    const CommandLine line = parse(arguments);
    CHECK(line.config.training.steps == 7);
    CHECK(line.config.training.seq_len == 128);
    CHECK(line.config.optimizer.lr == 0.5);
    CHECK(line.config.training.local_batch_size == 8);
    CHECK(line.config_file == file.path.string());
    CHECK(line.is_given("training.steps"));
    CHECK(line.is_given("training.seq_len"));
    CHECK(!line.is_given("training.local_batch_size"));
  }
  CHECK(parse({"train", "--config=" + file.path.string()}).config.training.steps == 5);
  CHECK_THROWS_WITH(parse({"train", "--config", "a", "--config", "b"}), "--config: stands twice");
  CHECK_THROWS_WITH(parse({"train", "--config="}), StartsWith("--config: expected the name of a file"));
  CHECK_THROWS_WITH(parse({"train", "--config", "no.json"}), "no.json: can't read the configuration file");
}

TEST_CASE("groups of flags stand in place of the file's, those of one flag behind those of another") {
  const File file("ashlar_command_line_groups.json", R"({"optimizer": {"groups": [{"names": "a"}, {"names": "b"}]}})");
  const std::string config = "--config=" + file.path.string();
  CHECK(parse({"train", config}).config.optimizer.groups.size() == 2);
  const Config both =
      parse_train({config, "--optimizer.groups", "names=c;names=d,rule=Frozen", "--optimizer.groups=names=e"});
  CHECK(both.optimizer.groups == std::vector<GroupOptions>{{"c"}, {"d", "Frozen"}, {"e"}});
}

TEST_CASE("the last of two equal flags counts") {
  CHECK(parse_train({"--training.steps=1", "--training.steps=2"}).training.steps == 2);
}

TEST_CASE("what is unknown gets the nearest valid name") {
  CHECK_THROWS_WITH(parse({"trian"}), "unknown subcommand \"trian\"; the nearest valid name is \"train\"");
  CHECK_THROWS_WITH(parse_train({"--training.seqlen", "4"}),
                    "unknown flag --training.seqlen; the nearest valid name is --training.seq_len");
  CHECK_THROWS_WITH(parse_train({"--seqlen=4"}), "unknown flag --seqlen; the nearest valid name is --training.seq_len");
  CHECK_THROWS_WITH(parse_train({"--confg", "a"}), "unknown flag --confg; the nearest valid name is --config");
  CHECK_THROWS_WITH(parse_train({"--paralelism.tensor_parallel_degre=2"}),
                    ContainsText("--parallelism.tensor_parallel_degree"));
  CHECK_THROWS_WITH(parse_train({"--training.dataset=txt"}),
                    "--training.dataset: must be one of text, random, found \"txt\"; the nearest is text");
}

TEST_CASE("what is missing or out of place is said") {
  CHECK_THROWS_WITH(parse({}), StartsWith("a subcommand is missing\nusage: llama3 SUBCOMMAND"));
  CHECK_THROWS_WITH(parse({"--training.steps", "4"}), StartsWith("unknown subcommand \"--training.steps\""));
  CHECK_THROWS_WITH(parse_train({"--training.steps"}), StartsWith("--training.steps: a value must follow"));
  CHECK_THROWS_WITH(parse_train({"--training.steps", "--checkpoint.enable"}),
                    StartsWith("--training.steps: a value must follow"));
  CHECK_THROWS_WITH(parse_train({"40"}), StartsWith("unexpected argument \"40\""));
  CHECK_THROWS_WITH(parse_train({"-x"}), StartsWith("unexpected argument \"-x\""));
  CHECK_THROWS_WITH(parse_train({"--"}), StartsWith("unexpected argument \"--\""));
  CHECK_THROWS_WITH(parse_train({"--training.steps", "many"}),
                    "--training.steps: expected an integer of 32 bits, found \"many\"");
  CHECK_THROWS_WITH(parse_train({"--training.steps", "0"}), "--training.steps: must be at least 1, found 0");
  CHECK_THROWS_WITH(parse_train({"--training.global_batch_size", "9"}), ContainsText("9 is no multiple of 8"));
}

TEST_CASE("help is a text, whatever stands beside it") {
  CHECK_THAT(parse({"--help"}).help, StartsWith("usage: llama3 SUBCOMMAND"));
  CHECK_THAT(parse({"-h"}).help, StartsWith("usage: llama3 SUBCOMMAND"));
  CHECK_THAT(parse({"plan", "--help"}).help, StartsWith("usage: llama3 plan"));
  CHECK_THAT(parse({"plan", "-h"}).help, StartsWith("usage: llama3 plan"));
  CHECK_THAT(parse({"train", "--nonsense", "--help"}).help, StartsWith("usage: llama3 train"));
  CHECK(parse({"generate", "--prompt", "-h"}).help.empty());
}

TEST_CASE("main's arguments name the program") {
  const char* argv[] = {"/usr/local/bin/llama3", "train", "--help"};
  CHECK_THAT(ashlar::parse(3, argv).help, StartsWith("usage: llama3 train"));
  CHECK_THROWS_AS(ashlar::parse(1, argv), ConfigError);
  CHECK_THROWS_AS(ashlar::parse(0, argv), ConfigError);
}

TEST_CASE("mutated command lines give a configuration or a ConfigError, nothing else") {
  const Arguments original{"train",
                           "--training.steps",
                           "40",
                           "--checkpoint.enable",
                           "--optimizer.lr=1e-3",
                           "--lr_scheduler.decay_ratio",
                           "none",
                           "--checkpoint.exclude_from_loading",
                           "a,b",
                           "--training.global_batch_size",
                           "-1",
                           "--parallelism.pipeline_parallel_degree=2"};
  constexpr std::string_view pieces[] = {"--",
                                         "-",
                                         "=",
                                         ",",
                                         "true",
                                         "none",
                                         "1e400",
                                         "nan",
                                         "\xff",
                                         "--plan.json",
                                         "99999999999999999999",
                                         "--config",
                                         "generate",
                                         "--help",
                                         "--x.y",
                                         "."};
  std::mt19937 random(11);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  int accepted = 0, refused = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    Arguments arguments = original;
    for (std::size_t edits = 1 + below(3); edits-- && !arguments.empty();) {
      const std::size_t which = below(arguments.size());
      std::string& argument = arguments[which];
      const std::size_t at = argument.empty() ? 0 : below(argument.size());
      switch (below(6)) {
        case 0: argument.insert(at, 1, static_cast<char>(random())); break;
        case 1: argument.erase(at, 1 + below(3)); break;
        case 2: argument.insert(at, pieces[below(std::size(pieces))]); break;
        case 3: arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(which)); break;
        case 4: argument = pieces[below(std::size(pieces))]; break;
        case 5: std::swap(argument, arguments[below(arguments.size())]); break;
      }
    }
    try {
      const CommandLine line = parse(arguments);
      if (line.help.empty()) CHECK_NOTHROW(validate(line.config));
      ++accepted;
    } catch (const ConfigError& error) {
      REQUIRE(std::string_view(error.what()).size() > 10);
      ++refused;
    }  // any other exception fails the test
  }
  CHECK(accepted > 100);
  CHECK(refused > 1000);
}
