#include "ashlar/train/config_fields.hpp"

#include <concepts>
#include <optional>
#include <set>

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

template <class Section>
void check_described(Section& section) {
  FieldList list;
  describe(section, list);
  REQUIRE(list.sections().size() == 1);
  INFO(list.sections()[0].name);
  CHECK(list.sections()[0].fields.size() == member_count<Section>());
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

TEST_CASE("every member of every section is described, in one section each") {
  Config config;
  const FieldList list = fields(config);
  check_described(config.job);
  check_described(config.model);
  check_described(config.training);
  check_described(config.parallelism);
  check_described(config.optimizer);
  check_described(config.lr_scheduler);
  check_described(config.checkpoint);
  check_described(config.metrics);
  check_described(config.activation_checkpoint);
  check_described(config.validation);
  check_described(config.comm);
  check_described(config.generate);
  check_described(config.plan);
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
