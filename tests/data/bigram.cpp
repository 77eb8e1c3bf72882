#include "ashlar/data/bigram.hpp"

#include "catch.hpp"

using namespace ashlar;

namespace {

Text text_of(std::initializer_list<std::int16_t> tokens) {
  Text text;
  text.tokens = tokens;
  return text;
}

}  // namespace

TEST_CASE("bigram counts by hand") {
  // 1 is followed by 2 twice and by 3 once; 2 by 1 twice; 3 by nothing.
  const Bigram model(text_of({1, 2, 1, 2, 1, 3}), 0.5);
  const double row = 0.5 * 257;
  const auto p = [&](double count, double total) { return (count + 0.5) / (total + row); };
  CHECK(model.loss(text_of({1, 2})) == Approx(-std::log(p(2, 3))));
  CHECK(model.loss(text_of({1, 3})) == Approx(-std::log(p(1, 3))));
  CHECK(model.loss(text_of({2, 2})) == Approx(-std::log(p(0, 2))));
  CHECK(model.loss(text_of({3, 9})) == Approx(std::log(257.0)));
  CHECK(model.loss(text_of({1, 2, 1, 256})) ==
        Approx(-(std::log(p(2, 3)) + std::log(p(2, 2)) + std::log(p(0, 3))) / 3));
}

TEST_CASE("a text without pairs has no loss") {
  const Bigram model(text_of({1}));
  CHECK(model.loss(text_of({})) == 0);
  CHECK(model.loss(text_of({1})) == 0);
  CHECK(model.loss(text_of({1, 2})) == Approx(std::log(257.0)));
}
