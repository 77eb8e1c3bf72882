#include "ashlar/config/check.hpp"

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("ranges hold their ends or not, as they say") {
  CHECK(at_least(1).allows(1));
  CHECK(!at_least(1).allows(0.999));
  CHECK(!above(0).allows(0.0));
  CHECK(above(0).allows(1e-300));
  CHECK(at_least(0).below(1).allows(0.999));
  CHECK(!at_least(0).below(1).allows(1));
  CHECK(at_least(0).at_most(1).allows(1));
  CHECK(!at_least(0).at_most(1).allows(1.001));
  CHECK(Check().allows(-1e308));
}

TEST_CASE("one number outside of the range may be allowed") {
  const Check check = at_least(2).or_exactly(0);
  CHECK(check.allows(0.0));
  CHECK(!check.allows(1));
  CHECK(check.allows(2));
}

TEST_CASE("names are a closed set") {
  const Check check = one_of({"linear", "cosine"});
  CHECK(check.allows("cosine"));
  CHECK(!check.allows("cosin"));
  CHECK(!check.allows(""));
  CHECK(Check().allows("anything"));
}

TEST_CASE("a check says itself in words") {
  CHECK(Check().text().empty());
  CHECK(at_least(1).text() == "at least 1");
  CHECK(above(0).below(1).text() == "above 0 and below 1");
  CHECK(Check().at_most(0.5).text() == "at most 0.5");
  CHECK(at_least(1).or_exactly(-1).text() == "at least 1 or exactly -1");
  CHECK(one_of({"a", "b"}).text() == "one of a, b");
}
