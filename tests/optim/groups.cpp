#include "ashlar/optim/groups.hpp"

#include "ashlar/optim/optimize.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

ParameterInfo info_of(std::string name, const Shape& shape, bool table = false) {
  ParameterInfo info;
  info.name = std::move(name);
  info.shape = shape;
  info.table = table;
  return info;
}

}  // namespace

TEST_CASE("patterns: a star is any run of characters, everything else is itself", "[groups]") {
  const auto yes = [](const char* pattern, const char* name) { CHECK(matches_pattern(pattern, name)); };
  const auto no = [](const char* pattern, const char* name) { CHECK(!matches_pattern(pattern, name)); };
  yes("", "");
  yes("*", "");
  yes("*", "layers.0.w");
  yes("layers.*.w", "layers.0.w");
  yes("layers.*.w", "layers.0.attention.w");
  yes("*norm*", "layers.0.attention_norm.weight");
  yes("a*b*c", "abbcbc");
  yes("**a", "ba");
  no("", "a");
  no("a", "");
  no("layers.*.w", "layers.0.wq");
  no("layers.*", "xlayers.0");
  no("a*b*c", "abcb");
  no("l?yers", "layers");
  no("norm", "norm.weight");
}

TEST_CASE("the first group that matches decides rule, rate and decay; the rest is the default's", "[groups]") {
  OptimizerConfig o;
  o.weight_decay = 0.2;
  o.groups = {{.names = "*.bias", .lr_factor = 2},
              {.names = "base.*", .rule = "Frozen"},
              {.names = "*.wq", .rule = "Adam", .weight_decay = 0.0},
              {.names = "*q"}};
  ParameterGroups groups(o, Optimize<Muon, AdamW, Adam>::notes());
  const auto classified = [&](ParameterInfo info) {
    groups.classify(info);
    return info;
  };
  const auto expect = [&](const ParameterInfo& info, std::size_t rule, double factor, double decay) {
    INFO(info.name);
    const ParameterGroups::Group g = groups[info.group];
    CHECK(info.trainable);
    CHECK(g.rule == rule);
    CHECK(g.lr_factor == factor);
    CHECK(g.weight_decay == decay);
  };
  expect(classified(info_of("a.wk", {4, 4})), 0, 1, 0.2);  // Muon, the first
  expect(classified(info_of("a.wk.stack", {3, 4, 4})), 0, 1, 0.2);
  expect(classified(info_of("a.norm", {4})), 1, 1, 0.2);  // which Muon does not take
  expect(classified(info_of("tok", {9, 4}, true)), 1, 1, 0.2);
  expect(classified(info_of("a.bias", {4})), 1, 2, 0.2);
  expect(classified(info_of("a.wq", {4, 4})), 2, 1, 0.0);
  expect(classified(info_of("b.xq", {4, 4})), 0, 1, 0.2);
  const ParameterInfo frozen = classified(info_of("base.wq", {4, 4}));
  CHECK(!frozen.trainable);
  CHECK_NOTHROW(groups.check_counts());
  CHECK(groups.counts() == std::vector<double>{1, 1, 1, 1, 3, 3, 1});

  o.name = "Adam";
  ParameterGroups other(o, Optimize<Muon, AdamW, Adam>::notes());
  ParameterInfo wk = info_of("a.wk", {4, 4});
  other.classify(wk);
  CHECK(other[wk.group].rule == 2);
}

TEST_CASE("what can't be is said, with what to do", "[groups]") {
  OptimizerConfig o;
  const auto notes = Optimize<AdamW, Muon>::notes();
  o.name = "Adam";
  CHECK_THROWS_WITH(ParameterGroups(o, notes),
                    ContainsText("--optimizer.name Adam is not compiled into this binary; its "
                                 "recipe has AdamW, Muon. Add the rule to Optimize<...>"));
  o.name = "";
  o.groups = {{.names = "*", .rule = "Lion"}};
  CHECK_THROWS_WITH(ParameterGroups(o, notes), ContainsText("--optimizer.groups: rule Lion is not compiled"));
  o.groups = {{.names = "*", .rule = "Muon"}};
  ParameterGroups vectors(o, notes);
  ParameterInfo norm = info_of("layers.0.norm", {4});
  CHECK_THROWS_WITH(vectors.classify(norm),
                    ContainsText("\"*\" gives layers.0.norm [4] to Muon, which does not take it"));
  o.groups = {};
  ParameterGroups muon(o, Optimize<Muon>::notes());
  CHECK_THROWS_WITH(muon.classify(norm), ContainsText("no rule of Optimize<Muon> takes the parameter layers.0.norm"));

  ParameterGroups unused(o, notes);
  ParameterInfo matrix = info_of("w", {4, 4});
  unused.classify(matrix);
  CHECK_THROWS_WITH(unused.check_counts(), ContainsText("Optimize<AdamW, Muon>, but no parameter is updated by Muon"));
  o.groups = {{.names = "layers.*"}};
  ParameterGroups nothing(o, notes);
  nothing.classify(matrix);
  CHECK_THROWS_WITH(nothing.check_counts(), ContainsText("\"layers.*\" matches no parameter"));
}
