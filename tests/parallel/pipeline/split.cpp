#include "ashlar/parallel/pipeline/split.hpp"

#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

namespace {

/// "emb+0-2 | 3-5+out"
std::string text(const std::vector<StageLayers>& stages) {
  std::string out;
  for (const StageLayers& s : stages) {
    std::vector<std::string> parts;
    if (s.embedding) parts.push_back("emb");
    if (s.end - s.begin == 1) parts.push_back(concat(s.begin));
    if (s.end - s.begin > 1) parts.push_back(concat(s.begin, "-", s.end - 1));
    if (s.output) parts.push_back("out");
    if (!out.empty()) out += " | ";
    for (std::size_t i = 0; i < parts.size(); ++i) out += (i ? "+" : "") + parts[i];
  }
  return out;
}

}  // namespace

TEST_CASE("Known splits") {
  REQUIRE(text(split_layers(6, 1)) == "emb+0-5+out");
  REQUIRE(text(split_layers(6, 2)) == "emb+0-2 | 3-5+out");
  REQUIRE(text(split_layers(6, 4)) == "emb+0 | 1-2 | 3-4 | 5+out");
  REQUIRE(text(split_layers(6, 8)) == "emb | 0 | 1 | 2 | 3 | 4 | 5 | out");
  REQUIRE(text(split_layers(32, 4)) == "emb+0-7 | 8-16 | 17-24 | 25-31+out");
  const std::string big = text(split_layers(61, 16));
  REQUIRE_THAT(big, Catch::Matchers::StartsWith("emb+0-2 | 3-6 | 7-10 | "));
  REQUIRE_THAT(big, Catch::Matchers::EndsWith(" | 55-58 | 59-60+out"));
}

TEST_CASE("Every split covers the layers once and in order, and is even") {
  for (int layers = 0; layers < 24; ++layers)
    for (int stages = 1; stages <= 12; ++stages)
      for (int first = 0; first < 4; ++first)
        for (int last = 0; last < 4; ++last) {
          const int total = layers + first + last, share = total / stages;
          CAPTURE(layers, stages, first, last);
          if (stages > 1 && (stages > total || first > share || last > share)) {
            REQUIRE_THROWS_AS(split_layers(layers, stages, {first, last}), ConfigError);
            continue;
          }
          const std::vector<StageLayers> split = split_layers(layers, stages, {first, last});
          REQUIRE(static_cast<int>(split.size()) == stages);
          int next = 0;
          for (int s = 0; s < stages; ++s) {
            const StageLayers& stage = split[static_cast<std::size_t>(s)];
            REQUIRE(stage.begin == next);
            REQUIRE(stage.embedding == (s == 0));
            REQUIRE(stage.output == (s + 1 == stages));
            next = stage.end;
            const int weight = stage.end - stage.begin + (s == 0 ? first : 0) + (s + 1 == stages ? last : 0);
            REQUIRE(weight == share + (s < total % stages));
          }
          REQUIRE(next == layers);
        }
}

TEST_CASE("A split that can't be names the flag to change") {
  const std::string flags = "--parallelism.pipeline_parallel_";
  REQUIRE_THROWS_WITH(split_layers(6, 0), flags + "degree gives 0 pipeline stages; there must be at least one");
  REQUIRE_THROWS_WITH(split_layers(6, 9), flags +
                                              "degree asks for 9 pipeline stages, but 6 layers and the model's "
                                              "ends are only worth 8 layers");
  REQUIRE_THROWS_WITH(split_layers(6, 4, {4, 1}), flags +
                                                      "first_stage_less_layers 4 exceeds a stage's share of 2 "
                                                      "layers (6 layers over 4 stages)");
  REQUIRE_THROWS_WITH(split_layers(6, 4, {1, 4}), flags +
                                                      "last_stage_less_layers 4 exceeds a stage's share of 2 "
                                                      "layers (6 layers over 4 stages)");
  REQUIRE_THROWS_WITH(split_layers(6, 2, {-1, 0}),
                      flags + "first_stage_less_layers and " + flags + "last_stage_less_layers are 0 or more");
}
