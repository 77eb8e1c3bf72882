#include "ashlar/config/field.hpp"

#include <limits>

#include "catch.hpp"

using namespace ashlar;

namespace {

/// One field of each type.
struct Section {
  bool flag = false;
  int count = 3;
  std::int64_t seed = 0;
  double rate = 0.5;
  std::string name = "a";
  std::optional<double> share;
  std::vector<std::string> list;
};

FieldList describe(Section& s) {
  FieldList list;
  list.section("s", "A section.");
  list.field("flag", &s.flag, {});
  list.field("count", &s.count, {.check = at_least(1)});
  list.field("seed", &s.seed, {});
  list.field("rate", &s.rate, {.check = above(0)});
  list.field("name", &s.name, {.check = one_of({"a", "b"})});
  list.field("share", &s.share, {.check = at_least(0).at_most(1)});
  list.field("list", &s.list, {});
  return list;
}

void set(FieldList& list, std::string_view name, std::string_view text) {
  assign(*list.find(name), text, name);
}

}  // namespace

TEST_CASE("fields are found by dotted name, with either dash") {
  Section s;
  FieldList list;
  list.section("lr_scheduler", "");
  list.field("warmup_steps", &s.count, {});
  CHECK(list.find("lr_scheduler.warmup_steps"));
  CHECK(list.find("lr-scheduler.warmup-steps"));
  CHECK(!list.find("warmup_steps"));
  CHECK(!list.find(""));
  CHECK(list.names() == std::vector<std::string>{"lr_scheduler.warmup_steps"});
}

TEST_CASE("values of every type are read from text and written back") {
  Section s;
  FieldList list = describe(s);
  CHECK(!list.find("s.count")->given);
  set(list, "s.flag", "true");
  set(list, "s.count", "12");
  set(list, "s.seed", "9007199254740993");
  set(list, "s.rate", "1e-3");
  set(list, "s.name", "b");
  set(list, "s.share", "0.25");
  set(list, "s.list", "optimizer,lr_scheduler");
  CHECK(s.flag);
  CHECK(s.count == 12);
  CHECK(s.seed == 9007199254740993);
  CHECK(s.rate == 1e-3);
  CHECK(s.name == "b");
  CHECK(s.share == 0.25);
  CHECK(s.list == std::vector<std::string>{"optimizer", "lr_scheduler"});
  CHECK(list.find("s.count")->given);

  CHECK(value_text(*list.find("s.flag")) == "true");
  CHECK(value_text(*list.find("s.seed")) == "9007199254740993");
  CHECK(value_text(*list.find("s.rate")) == "0.001");
  CHECK(value_text(*list.find("s.list")) == "optimizer,lr_scheduler");
  set(list, "s.share", "none");
  set(list, "s.list", "");
  CHECK(!s.share);
  CHECK(s.list.empty());
  CHECK(value_text(*list.find("s.share")) == "none");
}

TEST_CASE("text of another type is refused, in words") {
  Section s;
  FieldList list = describe(s);
  CHECK_THROWS_WITH(set(list, "s.flag", "yes"), "s.flag: expected true or false, found \"yes\"");
  CHECK_THROWS_WITH(set(list, "s.count", "12x"), "s.count: expected an integer of 32 bits, found \"12x\"");
  CHECK_THROWS_WITH(set(list, "s.count", "1.5"), ContainsText("an integer"));
  CHECK_THROWS_WITH(set(list, "s.count", ""), ContainsText("an integer"));
  CHECK_THROWS_WITH(set(list, "s.count", "4294967296"), ContainsText("an integer of 32 bits"));
  CHECK_THROWS_WITH(set(list, "s.seed", "99999999999999999999"), ContainsText("an integer of 64 bits"));
  CHECK_THROWS_WITH(set(list, "s.rate", "fast"), "s.rate: expected a number, found \"fast\"");
  CHECK_THROWS_WITH(set(list, "s.rate", "1e999"), ContainsText("a number"));
  CHECK_THROWS_WITH(set(list, "s.share", "some"), ContainsText("a number or none"));
  for (const char* text : {",", "a,,b", ",a", "a,"})
    CHECK_THROWS_WITH(set(list, "s.list", text), ContainsText("names separated by single commas"));
}

TEST_CASE("values that fail the check are refused, in words") {
  Section s;
  FieldList list = describe(s);
  CHECK_THROWS_WITH(set(list, "s.count", "0"), "s.count: must be at least 1, found 0");
  CHECK_THROWS_WITH(set(list, "s.rate", "-1"), "s.rate: must be above 0, found -1");
  CHECK_THROWS_WITH(set(list, "s.share", "2"), "s.share: must be at least 0 and at most 1, found 2");
  CHECK_THROWS_WITH(set(list, "s.name", "bb"), "s.name: must be one of a, b, found \"bb\"; the nearest is b");
  CHECK_THROWS_WITH(set(list, "s.rate", "inf"), "s.rate: must be a finite number");
  CHECK_THROWS_WITH(set(list, "s.rate", "nan"), "s.rate: must be a finite number");
}
