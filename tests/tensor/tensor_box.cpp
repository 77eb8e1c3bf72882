#include "ashlar/tensor/tensor_box.hpp"

#include <set>

#include "ashlar/core/random.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

// The linear indices, within `shape`, of a box's elements in row-major order.
std::vector<index_t> elements(const Shape& shape, const TensorBox& box) {
  std::vector<index_t> all;
  for (index_t i = 0; i < shape.count(); ++i) {
    bool inside = true;
    index_t rest = i;
    for (int k = shape.rank() - 1; k >= 0; --k) {
      const index_t at = rest % shape[k];
      rest /= shape[k];
      inside &= at >= box.offset[k] && at < box.offset[k] + box.extent[k];
    }
    if (inside) all.push_back(i);
  }
  return all;
}

struct Draw {
  RandomStream stream{7, 11};
  std::uint64_t i = 0;
  index_t operator()(index_t below) {
    return static_cast<index_t>(stream.uniform(i++) * static_cast<double>(below)) % below;
  }
  TensorBox box(const Shape& shape) {
    TensorBox b{shape, shape};
    for (int k = 0; k < shape.rank(); ++k) {
      b.offset[k] = (*this)(shape[k]);
      b.extent[k] = 1 + (*this)(shape[k] - b.offset[k]);
      if ((*this)(3) == 0) b.offset[k] = 0, b.extent[k] = shape[k];
    }
    return b;
  }
};

}  // namespace

TEST_CASE("Boxes as sets of elements: what two share, what one leaves, and in which runs") {
  Draw draw;
  const Shape shapes[] = {{}, {7}, {4, 5}, {3, 4, 5}, {2, 3, 2, 3}, {2, 2, 3, 2, 2}};
  for (int round = 0; round < 600; ++round) {
    const Shape shape = shapes[round % 6];
    const TensorBox a = draw.box(shape), b = draw.box(shape);
    INFO(to_string(shape) << " " << to_string(a) << " " << to_string(b));
    CHECK(is_inside(a, shape));
    const auto in_a = elements(shape, a), in_b = elements(shape, b);
    std::set<index_t> both;
    for (index_t i : in_a)
      if (std::find(in_b.begin(), in_b.end(), i) != in_b.end()) both.insert(i);

    const TensorBox common = intersect(a, b);
    REQUIRE(common.count() == static_cast<index_t>(both.size()));
    std::set<index_t> visited;
    if (common.count() > 0)
      for_each_shared_run(a, b, common, [&](index_t from, index_t to, index_t n) {
        for (index_t i = 0; i < n; ++i) {
          const index_t element = in_a.at(static_cast<std::size_t>(from + i));
          CHECK(element == in_b.at(static_cast<std::size_t>(to + i)));
          CHECK(visited.insert(element).second);
        }
      });
    CHECK(visited == both);

    if (common.count() == 0) continue;
    std::vector<TensorBox> rest;
    subtract(a, common, rest);
    std::multiset<index_t> left;
    for (const TensorBox& r : rest)
      for (index_t i : elements(shape, r)) left.insert(i);
    std::multiset<index_t> expected(in_a.begin(), in_a.end());
    for (index_t i : both) expected.erase(i);
    CHECK(left == expected);
  }
}

TEST_CASE("Equal boxes are copied in one run") {
  const TensorBox box{{2, 0, 3}, {2, 4, 5}};
  int runs = 0;
  for_each_shared_run(box, box, box, [&](index_t from, index_t to, index_t n) {
    ++runs;
    CHECK(from == 0);
    CHECK(to == 0);
    CHECK(n == 40);
  });
  CHECK(runs == 1);
}

TEST_CASE("Whether a box is inside holds for any numbers") {
  const index_t huge = index_t{1} << 62;
  CHECK(is_inside({{0, 3}, {4, 5}}, {4, 8}));
  CHECK_FALSE(is_inside({{0, 4}, {4, 5}}, {4, 8}));
  CHECK_FALSE(is_inside({{0}, {4}}, {4, 8}));
  CHECK_FALSE(is_inside({{-1, 0}, {2, 2}}, {4, 8}));
  CHECK_FALSE(is_inside({{huge, 0}, {huge, 2}}, {4, 8}));
  CHECK_FALSE(is_inside({{huge}, {4}}, {8}));
  CHECK(is_inside({{huge - 4}, {4}}, {huge}));
  CHECK(to_string(TensorBox{{0, 8}, {4, 8}}) == "[0:4, 8:16]");
  CHECK(to_string(TensorBox{}) == "[]");
}
