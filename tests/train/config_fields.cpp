#include "ashlar/train/config_fields.hpp"

#include <set>

#include "catch.hpp"

using namespace ashlar;
using Catch::Matchers::Contains;

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

TEST_CASE("every member of Config is described") {
  // A member that the list forgets keeps its place in memory: the fields of a section fill it but for padding.
  Config config;
  const FieldList list = fields(config);
  std::size_t bytes = 0;
  for (const FieldList::Section& section : list.sections())
    for (const Field& field : section.fields)
      bytes += std::visit([](const auto* value) { return sizeof *value; }, field.value);
  CHECK(bytes <= sizeof config);
  CHECK(bytes + 7 * 2 * list.sections().size() > sizeof config);
}

TEST_CASE("a field outside of its range is named") {
  Config config;
  config.training.seq_len = 0;
  CHECK_THROWS_WITH(validate(config), "training.seq_len: must be at least 1, found 0");
  config = {};
  config.checkpoint.keep_latest_k = 1;
  CHECK_THROWS_WITH(validate(config), Contains("checkpoint.keep_latest_k: must be at least 2 or exactly 0"));
  config = {};
  config.parallelism.pipeline_parallel_schedule = "1F1";
  CHECK_THROWS_WITH(validate(config), Contains("the nearest is 1F1B"));
  config = {};
  config.lr_scheduler.decay_ratio = 1.5;
  CHECK_THROWS_WITH(validate(config), Contains("lr_scheduler.decay_ratio"));
}

TEST_CASE("fields that contradict each other are named") {
  Config config;
  config.parallelism.pipeline_parallel_microbatch_size = 3;
  CHECK_NOTHROW(validate(config));  // without a pipeline nothing reads it
  config.parallelism.pipeline_parallel_degree = 2;
  CHECK_THROWS_WITH(validate(config), Contains("must divide training.local_batch_size, but 3 does not divide 8"));
  config = {};
  config.training.global_batch_size = 12;
  CHECK_THROWS_WITH(validate(config), Contains("training.global_batch_size") && Contains("12 is no multiple of 8"));
  config.training.global_batch_size = 16;
  CHECK_NOTHROW(validate(config));
}
