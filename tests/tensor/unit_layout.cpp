#include "ashlar/tensor/unit_layout.hpp"

#include <map>

#include "ashlar/core/random.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

UnitLayout::Entry entry(std::string name, const Shape& shape, const Shape& local, const Shape& offset,
                        bool partial = false) {
  return {{std::move(name), shape, {}, {}, false}, local, offset, 0, partial};
}
UnitLayout::Entry whole(std::string name, const Shape& shape, bool partial = false) {
  Shape offset;
  for (int i = 0; i < shape.rank(); ++i) offset.push_back(0);
  return entry(std::move(name), shape, shape, offset, partial);
}

// What is true of one flat position: the parameter and its logical element.
using Owner = std::pair<std::size_t, index_t>;

// The row-major index of a coordinate in a shape.
index_t linear_index(const Shape& shape, const Shape& at) {
  index_t i = 0;
  for (int k = 0; k < shape.rank(); ++k) i = i * shape[k] + at[k];
  return i;
}

// The map by the definition: each local element's place, one by one.
std::map<index_t, Owner> owners(const UnitLayout& layout) {
  std::map<index_t, Owner> out;
  for (std::size_t p = 0; p < layout.entries().size(); ++p) {
    const auto& e = layout.entries()[p];
    for (index_t i = 0; i < e.local_shape.count(); ++i) {
      Shape at = e.local_offset;
      index_t rest = i;
      for (int k = e.local_shape.rank() - 1; k >= 0; --k) {
        at[k] += rest % e.local_shape[k];
        rest /= e.local_shape[k];
      }
      out[e.begin + i] = {p, linear_index(e.info.shape, at)};
    }
  }
  return out;
}

// for_each_box and for_each_run over [begin, end) give each element once, where the definition has it.
void check_range(const UnitLayout& layout, const std::map<index_t, Owner>& all, index_t begin, index_t end) {
  std::map<index_t, Owner> found;
  index_t last = -1;
  bool sound = true;
  layout.for_each_box(begin, end, [&](const Box& box) {
    const auto& e = layout.entries()[box.parameter];
    sound &= box.begin > last && box.begin >= begin && box.begin + box.extent.count() <= end;
    last = box.begin;
    index_t covered = 0;
    for_each_run(e.info.shape, box, [&](index_t logical, index_t local, index_t n) {
      sound &= local == covered;
      covered += n;
      for (index_t i = 0; i < n; ++i)
        sound &= found.emplace(box.begin + local + i, Owner{box.parameter, logical + i}).second;
    });
    sound &= covered == box.extent.count();
  });
  CHECK(sound);
  std::map<index_t, Owner> expected(all.lower_bound(begin), all.lower_bound(end));
  CHECK(found == expected);
}

}  // namespace

TEST_CASE("parameters lie one after another, aligned, those partial over tp last") {
  const UnitLayout layout({whole("norm", {5}, true), whole("w", {3, 7}), whole("scale", {}), whole("bias", {2}, true)},
                          4);
  const auto& e = layout.entries();
  CHECK(e[0].info.name == "w");
  CHECK(e[1].info.name == "scale");
  CHECK(e[2].info.name == "norm");
  CHECK(e[3].info.name == "bias");
  CHECK(e[0].begin == 0);
  CHECK(e[1].begin == 32);
  CHECK(e[2].begin == 48);
  CHECK(e[3].begin == 64);
  CHECK(layout.trained().alike_begin == 48);
  CHECK(layout.size() == 128);  // a multiple of 16 * 4
  CHECK(layout.trained().shard_size() == 32);
  CHECK(UnitLayout({whole("w", {3})}, 1).trained().alike_begin == 16);  // none is partial
}

TEST_CASE("what is trained and what is frozen are cut into equal shards, each by itself") {
  const auto frozen = [](UnitLayout::Entry e) {
    e.info.trainable = false;
    return e;
  };
  const auto grouped = [](UnitLayout::Entry e, int group) {
    e.info.group = group;
    return e;
  };
  const UnitLayout layout({frozen(whole("base", {20, 5})), whole("norm", {5}, true), frozen(whole("scale", {3}, true)),
                           grouped(whole("second", {4}), 1), whole("first", {9, 2}), frozen(whole("bias", {2}))},
                          2);
  const auto& e = layout.entries();
  const char* const names[] = {"first", "second", "norm", "base", "bias", "scale"};
  const index_t begins[] = {0, 32, 48, 64, 176, 192};
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(e[i].info.name == names[i]);
    CHECK(e[i].begin == begins[i]);
  }
  CHECK(layout.trained().begin == 0);
  CHECK(layout.trained().size == 64);
  CHECK(layout.trained().alike_begin == 48);
  CHECK(layout.trained().cut_by_tp(0) == 32);
  CHECK(layout.trained().cut_by_tp(1) == 16);
  CHECK(layout.frozen().begin == 64);
  CHECK(layout.frozen().size == 160);  // 144, and 16 of padding
  CHECK(layout.frozen().alike_begin == 192);
  CHECK(layout.frozen().shard_begin(1) == 144);
  CHECK(layout.frozen().cut_by_tp(1) == 48);
  CHECK(layout.size() == 224);
  const auto all = owners(layout);
  for (const UnitPart& part : {layout.trained(), layout.frozen()})
    for (int r = 0; r < 2; ++r) check_range(layout, all, part.shard_begin(r), part.shard_begin(r + 1));
}

TEST_CASE("boxes cover any range exactly once, whatever the cut") {
  const std::vector<UnitLayout::Entry> entries{
      whole("vector", {13}),
      whole("matrix", {7, 11}),
      whole("cube", {3, 5, 4}),
      whole("scalar", {}),
      whole("column", {9, 1}),
      whole("row", {1, 9}),
      entry("tp rows", {8, 6}, {4, 6}, {4, 0}),
      entry("tp columns", {8, 6}, {8, 3}, {0, 3}),
      entry("experts, cut over ep", {4, 3, 5}, {2, 3, 5}, {2, 0, 0}),
      entry("cube, cut in the middle", {3, 6, 4}, {3, 2, 4}, {0, 4, 0}),
      entry("cube, cut inside", {3, 4, 6}, {3, 4, 2}, {0, 0, 2}),
      whole("partial", {10}, true),
  };
  for (int cuts = 1; cuts <= 8; ++cuts) {
    const UnitLayout layout(entries, cuts);
    const auto all = owners(layout);
    INFO(cuts << " ranks");
    for (int r = 0; r < cuts; ++r)
      check_range(layout, all, layout.trained().shard_begin(r), layout.trained().shard_begin(r + 1));
    const RandomStream stream(9, static_cast<std::uint64_t>(cuts));
    for (std::uint64_t i = 0; i < 60; ++i) {
      auto a = static_cast<index_t>(stream.below(2 * i, static_cast<std::uint64_t>(layout.size() + 1)));
      auto b = static_cast<index_t>(stream.below(2 * i + 1, static_cast<std::uint64_t>(layout.size() + 1)));
      check_range(layout, all, std::min(a, b), std::max(a, b));
    }
  }
}

TEST_CASE("whole rows are one box, and a whole tensor is one") {
  const UnitLayout layout({whole("w", {6, 4, 2})}, 1);
  const auto boxes = [&](index_t begin, index_t end) {
    std::vector<Box> out;
    layout.for_each_box(begin, end, [&](const Box& b) { out.push_back(b); });
    return out;
  };
  CHECK(boxes(0, 48).size() == 1);
  const auto middle = boxes(8, 40);
  REQUIRE(middle.size() == 1);
  CHECK(middle[0].offset == Shape{1, 0, 0});
  CHECK(middle[0].extent == Shape{4, 4, 2});
  CHECK(boxes(3, 47).size() == 5);  // an element, rows, slices, rows, an element
  CHECK(boxes(48, 48).empty());
}

TEST_CASE("an empty layout has no boxes") {
  const UnitLayout layout({}, 4);
  CHECK(layout.size() == 0);
  layout.for_each_box(0, 0, [](const Box&) { FAIL("a box of nothing"); });
}
