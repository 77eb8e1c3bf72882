#include "ashlar/tensor/parameter.hpp"

#include "ashlar/core/environment.hpp"
#include "ashlar/device/cpu.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, float>;

struct Fixture {
  Memory<Cpu> memory;
  Cpu::Queue queue;
  Declarations<E> d{memory, queue, {1, 2}, {2, 3}};  // tp rank 1 of 2, ep rank 2 of 3
};

}  // namespace

TEST_CASE("declarations are named by paths, in order, and taken once") {
  Fixture f;
  Parameter<E> a, b, c;
  f.d.add(a, {"a", {4}, {}, {}, false});
  f.d.in("layers.0").in("attention").add(b, {"b.weight", {4}, {}, {}, false});
  f.d.add(c, {"c", {4}, {}, {}, true});
  const auto entries = f.d.take();
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].info.name == "a");
  CHECK(entries[1].info.name == "layers.0.attention.b.weight");
  CHECK(entries[1].parameter == &b);
  CHECK(entries[2].info.name == "c");
  CHECK(entries[2].info.expert);
  CHECK(f.d.take().empty());
}

TEST_CASE("a rank's part is cut over the axes of the shards") {
  Fixture f;
  Parameter<E> p;
  f.d.add(p, {"whole", {6, 4}, {}, {}, false});
  f.d.add(p, {"rows", {6, 4}, {}, {{Axis::tp, 0}}, false});
  f.d.add(p, {"columns", {6, 4}, {}, {{Axis::tp, 1}}, false});
  f.d.add(p, {"both", {6, 4, 5}, {}, {{Axis::ep, 0}, {Axis::tp, 1}}, true});
  f.d.add(p, {"over an axis of one", {6, 4}, {}, {{Axis::pp, 0}}, false});
  const auto e = f.d.take();
  CHECK(e[0].local_shape == Shape{6, 4});
  CHECK(e[0].local_offset == Shape{0, 0});
  CHECK(e[1].local_shape == Shape{3, 4});
  CHECK(e[1].local_offset == Shape{3, 0});
  CHECK(e[2].local_shape == Shape{6, 2});
  CHECK(e[2].local_offset == Shape{0, 2});
  CHECK(e[3].local_shape == Shape{2, 2, 5});
  CHECK(e[3].local_offset == Shape{4, 2, 0});
  CHECK(e[4].local_shape == Shape{6, 4});
}

TEST_CASE("a shard that does not divide is refused in words") {
  Fixture f;
  Parameter<E> p;
  try {
    f.d.in("layers.3").add(p, {"w", {6, 5}, {}, {{Axis::tp, 1}}, false});
    FAIL("no error");
  } catch (const ConfigError& error) {
    CHECK(std::string(error.what()) ==
          "parameter layers.3.w has 5 in dimension 1, which the tp degree 2 does not divide; choose a degree that "
          "does");
  }
}

TEST_CASE("buffers are named by paths too") {
  Fixture f;
  float values[3] = {};
  f.d.in("layers.1").in("moe").add_buffer("expert_bias", {values, {3}});
  const auto buffers = f.d.take_buffers();
  REQUIRE(buffers.size() == 1);
  CHECK(buffers[0].name == "layers.1.moe.expert_bias");
  CHECK(buffers[0].values.data() == values);
  CHECK(f.d.take_buffers().empty());
}
