// Random numbers against what their authors publish.
#include "ashlar/core/random.hpp"

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("Philox 4x32-10 has the known answers of Random123", "[random]") {
  using Words = std::array<std::uint32_t, 4>;
  // Counter words 0 and 1 are the index, 2 and 3 the stream; the key is the seed.
  CHECK(RandomStream(0, 0).words(0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(RandomStream(~0ull, ~0ull).words(~0ull) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(RandomStream(0x299f31d0a4093822, 0x0370734413198a2e).words(0x85a308d3243f6a88) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("names are hashed by FNV-1a, 64 bits", "[random]") {
  CHECK(hash_name("") == 0xcbf29ce484222325);
  CHECK(hash_name("a") == 0xaf63dc4c8601ec8c);
  CHECK(hash_name("foobar") == 0x85944171f73967e8);
}

TEST_CASE("draws are made from the words as they say", "[random]") {
  const RandomStream random(7, 11);
  for (std::uint64_t i : {0ull, 1ull, 1ull << 40}) {
    const std::uint64_t bits = random.bits(i);
    CHECK(random.uniform(i) == (static_cast<double>(bits >> 11) + 0.5) / 9007199254740992.0);
    CHECK(random.below(i, 10) ==
          static_cast<std::uint64_t>(static_cast<long double>(bits) / 18446744073709551616.0L * 10));
    CHECK(random.normal(i) == random.normals(i)[0]);
  }
}
