#include "ashlar/checkpoint/manifest.hpp"

#include "ashlar/core/random.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

namespace {

Manifest sample() {
  Manifest m;
  m.step = 300;
  m.updates = 290;
  m.base = "a/base";
  m.tokens = 1'000'000'000'000;
  m.cursor = 2400;
  m.world_size = 8;
  m.degrees = {2, 1, 2, 1, 2, 4};
  m.config = R"({"training":{"steps":600}})";
  m.build = "a build";
  m.files = {{"rank-00000-of-00008.safetensors", 1000}, {"rank-00001-of-00008.safetensors", 2000}};
  return m;
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("A manifest is read as it was written") {
  const Manifest m = sample(), read = parse_manifest(to_json(m), "m.json");
  CHECK(read.step == m.step);
  CHECK(read.updates == m.updates);
  CHECK(read.base == m.base);
  CHECK(read.tokens == m.tokens);
  CHECK(read.cursor == m.cursor);
  CHECK(read.model_only == m.model_only);
  CHECK(read.world_size == m.world_size);
  CHECK(read.degrees == m.degrees);
  CHECK(read.config == m.config);
  CHECK(read.build == m.build);
  REQUIRE(read.files.size() == 2);
  CHECK(read.files[1].name == m.files[1].name);
  CHECK(read.files[1].bytes == 2000);
  CHECK(to_json(read) == to_json(m));
}

TEST_CASE("A manifest from before there were updates and a base is read") {
  std::string old = replaced(to_json(sample()), "\"updates\": 290", "\"unknown\": 1");
  old = replaced(old, "\"base\": \"a/base\"", "\"other\": 1");
  CHECK(parse_manifest(old, "m.json").updates == 300);
  CHECK(parse_manifest(old, "m.json").base.empty());
}

TEST_CASE("A manifest that is wrong is refused in words") {
  const std::string good = to_json(sample());
  const auto refusal = [](const std::string& text) {
    const std::string error = error_of([&] { parse_manifest(text, "m.json"); });
    if (!error.empty()) CHECK(mentions(error, "m.json"));
    return error;
  };
  CHECK(refusal(good).empty());
  CHECK(mentions(refusal(replaced(good, "\"format_version\": 1", "\"format_version\": 2")), "format 2"));
  CHECK(mentions(refusal(replaced(good, "\"step\": 300", "\"step\": -3")), "\"step\""));
  CHECK(mentions(refusal(replaced(good, "\"step\": 300", "\"stop\": 300")), "step"));
  CHECK(mentions(refusal(replaced(good, "\"world_size\": 8", "\"world_size\": 0")), "\"world_size\""));
  CHECK(mentions(refusal(replaced(good, "\"cursor\": 2400", "\"cursor\": \"2400\"")), "\"cursor\""));
  CHECK(mentions(refusal(replaced(good, "rank-00001", "../rank-00001")), "same folder"));
  CHECK(mentions(refusal(replaced(good, "rank-00001-of-00008.safetensors", "")), "same folder"));
  CHECK_FALSE(refusal("").empty());
  CHECK_FALSE(refusal("[]").empty());
  CHECK_FALSE(refusal("{}").empty());
  CHECK(mentions(refusal(std::string(1'000'000, '[')), "too deep"));
}

TEST_CASE("Thousands of damaged manifests: an error or a manifest, never a crash") {
  const std::string good = to_json(sample());
  const RandomStream random(5, 6);
  std::uint64_t draws = 0;
  const auto draw = [&](std::size_t below) {
    return static_cast<std::size_t>(random.uniform(draws++) * static_cast<double>(below));
  };
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string damaged = good;
    for (std::size_t n = 1 + draw(3); n > 0; --n) {
      const std::size_t at = draw(damaged.size());
      if (draw(3) == 0)
        damaged.erase(at, 1 + draw(6));
      else
        damaged[at] = draw(2) == 0 ? static_cast<char>(draw(256)) : damaged[draw(damaged.size())];
    }
    const std::string error = error_of([&] { parse_manifest(damaged, "m.json"); });
    refused += !error.empty();
    if (!error.empty() && !mentions(error, "m.json")) FAIL("no file is named: " << error);
  }
  CHECK(refused > 1000);
}
