#include "ashlar/config/options.hpp"

#include <algorithm>
#include <concepts>
#include <optional>
#include <set>
#include <utility>

#include "catch.hpp"

using namespace ashlar;

namespace {

/// Converts to any member's type. (An optional converts from it by itself.)
struct Anything {
  template <class T>
  requires(!std::same_as<T, std::optional<double>>) operator T() const { return T(); }
};

/// The number of members of an aggregate: the most initialisers that it takes.
template <class T, class... Some>
constexpr std::size_t member_count() {
  if constexpr (requires { T{Some()..., Anything()}; })
    return member_count<T, Some..., Anything>();
  else
    return sizeof...(Some);
}

/// That the section of this name has the members of `section`, each once.
template <class Section>
void check_described(const FieldList& list, std::string_view name, const Section& section) {
  INFO(name);
  const auto found = std::ranges::find(list.sections(), name, &FieldList::Section::name);
  REQUIRE(found != list.sections().end());
  std::set<const void*> members;
  for (const Field& field : found->fields) {
    const auto* at = std::visit([](auto* value) { return reinterpret_cast<const char*>(value); }, field.value);
    const auto* begin = reinterpret_cast<const char*>(&section);
    CHECK(at >= begin);
    CHECK(at < begin + sizeof section);
    CHECK(members.insert(at).second);
  }
  CHECK(members.size() == member_count<Section>());
}

}  // namespace

TEST_CASE("the defaults are valid, and pass their own checks") {
  Config config;
  CHECK_NOTHROW(validate(config));
}

TEST_CASE("every field has a name of its own, a meaning, and reads back what it writes") {
  Config config;
  FieldList list = fields(config);
  std::set<std::string> seen;
  std::size_t count = 0;
  for (const FieldList::Section& section : list.sections()) {
    INFO(section.name);
    CHECK(!section.meaning.empty());
    for (const Field& field : section.fields) {
      INFO(field.name);
      ++count;
      CHECK(seen.insert(field.name).second);
      CHECK(!field.note.meaning.empty());
      CHECK(field.note.meaning.find('|') == std::string_view::npos);  // would end a cell of the reference page
      const std::string text = value_text(field);
      CHECK_NOTHROW(assign(*list.find(field.name), text, field.name));
      CHECK(value_text(field) == text);
    }
  }
  CHECK(count == list.names().size());
}

TEST_CASE("groups of parameters read back what they write, and are checked field by field") {
  Config config;
  FieldList list = fields(config);
  Field& field = *list.find("optimizer.groups");
  assign(field, "names=layers.*.w*,rule=Muon,lr_factor=0.5;names=*norm*,weight_decay=0", "--optimizer.groups");
  assign(field, "names=tok*,rule=Frozen", "--optimizer.groups");  // appends
  REQUIRE(config.optimizer.groups.size() == 3);
  CHECK(config.optimizer.groups[0] == GroupOptions{"layers.*.w*", "Muon", 0.5, {}});
  CHECK(config.optimizer.groups[1] == GroupOptions{"*norm*", "", 1, 0.0});
  CHECK(config.optimizer.groups[2] == GroupOptions{"tok*", "Frozen", 1, {}});
  CHECK(value_text(field) ==
        "names=layers.*.w*,rule=Muon,lr_factor=0.5;names=*norm*,weight_decay=0;names=tok*,rule=Frozen");
  const auto groups = std::exchange(config.optimizer.groups, {});
  assign(field, "names=layers.*.w*,rule=Muon,lr_factor=0.5;names=*norm*,weight_decay=0;names=tok*,rule=Frozen", "");
  CHECK(config.optimizer.groups == groups);

  GroupOptions group;
  std::set<const void*> members;
  for (const Field& f : fields(group)) {
    CHECK(!f.note.meaning.empty());
    members.insert(std::visit([](auto* value) { return static_cast<const void*>(value); }, f.value));
  }
  CHECK(members.size() == member_count<GroupOptions>());

  const auto refuses = [&](const char* text, const char* message) {
    config = {};
    CHECK_THROWS_WITH(assign(field, text, "--optimizer.groups"), ContainsText(message));
  };
  refuses("rule=Muon", "--optimizer.groups: a group needs names");
  refuses("names=a,rul=Muon", "unknown name \"rul\"; the nearest valid name is \"rule\"");
  refuses("names=a,lr_factor=-1", "--optimizer.groups: lr_factor: must be at least 0, found -1");
  refuses("names=a,lr_factor=fast", "--optimizer.groups: lr_factor: expected a number, found \"fast\"");
  refuses("names=a;Muon", "name=value separated by commas");
}

TEST_CASE("every member of every section is described, in one section each") {
  Config config;
  const FieldList list = fields(config);
  check_described(list, "job", config.job);
  check_described(list, "model", config.model);
  check_described(list, "training", config.training);
  check_described(list, "parallelism", config.parallelism);
  check_described(list, "optimizer", config.optimizer);
  check_described(list, "lr_scheduler", config.lr_scheduler);
  check_described(list, "checkpoint", config.checkpoint);
  check_described(list, "metrics", config.metrics);
  check_described(list, "activation_checkpoint", config.activation_checkpoint);
  check_described(list, "validation", config.validation);
  check_described(list, "comm", config.comm);
  check_described(list, "generate", config.generate);
  check_described(list, "plan", config.plan);
  CHECK(list.sections().size() == member_count<Config>());
}

TEST_CASE("a field outside of its range is named") {
  Config config;
  config.training.seq_len = 0;
  CHECK_THROWS_WITH(validate(config), "training.seq_len: must be at least 1, found 0");
  config = {};
  config.checkpoint.keep_latest_k = 1;
  CHECK_THROWS_WITH(validate(config), ContainsText("checkpoint.keep_latest_k: must be at least 2 or exactly 0"));
  config = {};
  config.parallelism.pipeline_parallel_schedule = "1F1";
  CHECK_THROWS_WITH(validate(config), ContainsText("the nearest is 1F1B"));
  config = {};
  config.lr_scheduler.decay_ratio = 1.5;
  CHECK_THROWS_WITH(validate(config), ContainsText("lr_scheduler.decay_ratio"));
  config = {};
  config.parallelism.pipeline_parallel_first_stage_less_layers = 2147483647;  // would overflow when added to layers
  CHECK_THROWS_WITH(validate(config), ContainsText("first_stage_less_layers: must be at least 0 and at most 4096"));
  config = {};
  config.parallelism.pipeline_parallel_last_stage_less_layers = 2147483647;
  CHECK_THROWS_WITH(validate(config), ContainsText("last_stage_less_layers: must be at least 0 and at most 4096"));
}

TEST_CASE("fields that contradict each other are named") {
  Config config;
  config.parallelism.pipeline_parallel_microbatch_size = 3;
  CHECK_NOTHROW(validate(config));  // without a pipeline nothing reads it
  config.parallelism.pipeline_parallel_degree = 2;
  CHECK_THROWS_WITH(validate(config), ContainsText("must divide training.local_batch_size, but 3 does not divide 8"));
  config = {};
  config.training.global_batch_size = 12;
  CHECK_THROWS_WITH(validate(config),
                    ContainsText("training.global_batch_size") && ContainsText("12 is no multiple of 8"));
  config.training.global_batch_size = 16;
  CHECK_NOTHROW(validate(config));
}
