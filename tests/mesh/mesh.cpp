#include "ashlar/mesh/mesh.hpp"

#include <map>
#include <set>

#include "ashlar/comm/fake.hpp"
#include "ashlar/comm/local.hpp"
#include "ashlar/device/meta.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

using Groups = std::set<std::vector<int>>;

Groups groups_of(const Degrees& degrees, std::initializer_list<Axis> varying) {
  const Degrees d =
      resolve_degrees(degrees, degrees.pp * degrees.dp_replicate * degrees.dp_shard * degrees.cp * degrees.tp);
  const int size = d.pp * d.dp_replicate * d.dp_shard * d.cp * d.tp;
  Groups groups;
  for (int r = 0; r < size; ++r) groups.insert(Mesh::members(d, r, std::vector<Axis>(varying)));
  return groups;
}

std::string error_of(const Degrees& degrees, int size) {
  try {
    resolve_degrees(degrees, size);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

constexpr Axis all_axes[] = {Axis::pp, Axis::dp_replicate, Axis::dp_shard, Axis::cp, Axis::tp, Axis::efsdp, Axis::ep};

/// Degrees of many shapes, with the size of their world.
std::vector<std::pair<Degrees, int>> many_meshes() {
  std::vector<std::pair<Degrees, int>> meshes;
  for (int pp : {1, 2})
    for (int replicate : {1, 3})
      for (int shard : {1, 2, 4})
        for (int cp : {1, 2})
          for (int tp : {1, 2})
            for (int ep = 1; ep <= shard * cp * tp; ++ep)
              if (shard * cp * tp % ep == 0)
                meshes.push_back({{pp, replicate, shard, cp, tp, ep}, pp * replicate * shard * cp * tp});
  return meshes;
}

}  // namespace

TEST_CASE("a rank's place is row-major in pp, dp_replicate, dp_shard, cp, tp", "[mesh]") {
  const Degrees d{2, 3, 4, 2, 2, 4};
  CHECK(rank_of(d, {1, 2, 3, 1, 1}) == 95);
  CHECK(rank_of(d, {1, 0, 0, 0, 0}) == 48);
  CHECK(rank_of(d, {0, 1, 0, 0, 0}) == 16);
  CHECK(rank_of(d, {0, 0, 1, 0, 0}) == 4);
  CHECK(rank_of(d, {0, 0, 0, 1, 0}) == 2);
  CHECK(coordinates_of(d, 0) == Coordinates{});
  CHECK(coordinates_of(d, 48 + 16 + 4 + 1) == Coordinates{1, 1, 1, 0, 1, 1, 1});
  for (const auto& [degrees, size] : many_meshes())
    for (int r = 0; r < size; ++r) {
      const Coordinates at = coordinates_of(degrees, r);
      REQUIRE(rank_of(degrees, at) == r);
      for (Axis axis : all_axes) {
        REQUIRE(Mesh::coordinate(at, axis) >= 0);
        REQUIRE(Mesh::coordinate(at, axis) < Mesh::degree(degrees, axis));
      }
    }
}

TEST_CASE("the worked examples of eight ranks", "[mesh]") {
  const Degrees ep4{.pp = 2, .dp_shard = 2, .tp = 2, .ep = 4}, ep2{.pp = 2, .dp_shard = 2, .tp = 2, .ep = 2};
  CHECK(groups_of(ep4, {Axis::pp}) == Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}});
  CHECK(groups_of(ep4, {Axis::dp_shard}) == Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}});
  CHECK(groups_of(ep4, {Axis::tp}) == Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}});
  CHECK(groups_of(ep4, {Axis::ep}) == Groups{{0, 1, 2, 3}, {4, 5, 6, 7}});
  CHECK(groups_of(ep4, {Axis::efsdp}) == Groups{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}});
  CHECK(groups_of(ep2, {Axis::ep}) == Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}});
  CHECK(groups_of(ep2, {Axis::efsdp}) == Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}});
  const Degrees hsdp{.dp_replicate = 2, .dp_shard = 4, .ep = 2};
  CHECK(groups_of(hsdp, {Axis::dp_replicate}) == Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}});
  CHECK(groups_of(hsdp, {Axis::ep}) == Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}});
  CHECK(groups_of(hsdp, {Axis::efsdp}) == Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}});
  CHECK(groups_of(hsdp, {Axis::dp_replicate, Axis::dp_shard}) == Groups{{0, 1, 2, 3, 4, 5, 6, 7}});
}

TEST_CASE("the groups of every axis divide the world", "[mesh]") {
  for (const auto& [degrees, size] : many_meshes())
    for (Axis axis : all_axes) {
      const Groups groups = groups_of(degrees, {axis});
      int ranks = 0;
      for (const std::vector<int>& group : groups) {
        REQUIRE(std::ssize(group) == Mesh::degree(degrees, axis));
        for (std::size_t i = 0; i < group.size(); ++i)
          REQUIRE(Mesh::coordinate(coordinates_of(degrees, group[i]), axis) == static_cast<int>(i));
        ranks += static_cast<int>(group.size());
      }
      REQUIRE(ranks == size);
    }
}

TEST_CASE("dp_shard -1 takes the ranks that are left", "[mesh]") {
  CHECK(resolve_degrees({}, 8).dp_shard == 8);
  CHECK(resolve_degrees({.pp = 2, .tp = 2}, 8).dp_shard == 2);
  CHECK(resolve_degrees({.dp_replicate = 8}, 8).dp_shard == 1);
  CHECK(Mesh().dp_degree() == 1);
}

TEST_CASE("degrees that do not fit are errors that name the flag", "[mesh]") {
  struct Case {
    Degrees degrees;
    int size;
    std::string says;
  };
  const Case cases[] = {
      {{.tp = 0}, 8, "--parallelism.tensor_parallel_degree is 0"},
      {{.pp = -1}, 8, "--parallelism.pipeline_parallel_degree is -1"},
      {{.dp_replicate = 0}, 8, "--parallelism.data_parallel_replicate_degree is 0"},
      {{.cp = 0}, 8, "the degree cp is 0"},
      {{.pp = 1 << 22, .dp_replicate = 1 << 21, .tp = 1 << 21}, 8, "more than a run can have"},
      {{.ep = 0}, 8, "--parallelism.expert_parallel_degree is 0"},
      {{.dp_shard = 0}, 8, "--parallelism.data_parallel_shard_degree is 0"},
      {{.dp_shard = -2}, 8, "--parallelism.data_parallel_shard_degree is -2"},
      {{.tp = 3}, 8, "--parallelism.tensor_parallel_degree 3 make groups of 3 ranks, which do not divide the 8 ranks"},
      {{.tp = 16}, 8, "groups of 16 ranks"},
      {{.pp = 2, .dp_shard = 3}, 8, "--parallelism.data_parallel_shard_degree 3 need 6 ranks, but the world has 8"},
      {{.dp_shard = 2, .tp = 2, .ep = 3},
       4,
       "--parallelism.expert_parallel_degree is 3, which does not divide the 4 ranks"},
      {{.pp = 2, .ep = 8}, 8, "does not divide the 4 ranks"}};
  for (const Case& test : cases) {
    const std::string error = error_of(test.degrees, test.size);
    INFO(error << " should say: " << test.says);
    CHECK(error.find(test.says) != std::string::npos);
  }
  CHECK_THROWS_AS(Mesh({.tp = 2}, Communicator()), ConfigError);
}

TEST_CASE("each rank's communicators are its axes' groups", "[mesh]") {
  for (const Degrees& degrees :
       {Degrees{.pp = 2, .dp_shard = 2, .tp = 2, .ep = 4}, Degrees{.pp = 2, .dp_shard = 2, .tp = 2, .ep = 2},
        Degrees{.dp_replicate = 2, .dp_shard = 2, .cp = 2, .ep = 2}, Degrees{.pp = 8}, Degrees{}})
    LocalWorld::run(8, [&](Communicator world) {
      Mesh mesh(degrees, world);
      const auto reduces_to_members = [&](Communicator c, std::initializer_list<Axis> varying) {
        std::int32_t expected = 0;
        for (int r : Mesh::members(mesh.degrees(), world.rank(), std::vector<Axis>(varying))) expected += r;
        check(c.reduce_value(std::int32_t{world.rank()}) == expected, "a group of the mesh has other members");
      };
      for (Axis axis : all_axes) {
        Communicator c = mesh.group(axis);
        check(c.size() == mesh.degree(axis) && c.rank() == mesh.coordinate(axis), "the rank in a group is its place");
        check((c.host_backend() == nullptr) == (mesh.degree(axis) == 1), "groups of one cost nothing");
        reduces_to_members(c, {axis});
      }
      using enum Axis;
      reduces_to_members(mesh.data(), {dp_replicate, dp_shard, cp});
      reduces_to_members(mesh.data_and_tensor(), {dp_replicate, dp_shard, cp, tp});
      reduces_to_members(mesh.world(), {pp, dp_replicate, dp_shard, cp, tp});
      check(mesh.dp_rank() == mesh.coordinate(dp_replicate) * mesh.degree(dp_shard) + mesh.coordinate(dp_shard),
            "the part of the batch");
    });
  SUCCEED();
}

TEST_CASE("a mesh of thousands of ranks is planned by one", "[mesh]") {
  auto counts = std::make_shared<FakeCounts>();
  const Degrees degrees{.pp = 16, .dp_replicate = 2, .dp_shard = 64, .tp = 8, .ep = 64};
  const int size = 16 * 2 * 64 * 8;
  for (int rank : {0, 1, 777, size - 1}) {
    Mesh mesh(degrees, Fake::world(rank, size, counts));
    for (Axis axis : all_axes) {
      CHECK(mesh.group(axis).size() == mesh.degree(axis));
      CHECK(mesh.group(axis).rank() == mesh.coordinate(axis));
    }
    CHECK(mesh.data().size() == 128);
    CHECK(mesh.data_and_tensor().size() == 1024);
    CHECK(mesh.dp_degree() == 128);
  }
  CHECK(counts->total() == FakeCounts::Traffic{});
  Mesh mesh(degrees, Fake::world(777, size, counts));
  Meta::Queue plan;
  const auto planned = [](index_t count) { return TensorView<float, Meta>(nullptr, {count}); };
  mesh.group(Axis::tp).all_reduce(plan, planned(8));
  mesh.group(Axis::efsdp).all_gather(plan, planned(1), planned(8));
  CHECK((*counts)["tp"] == FakeCounts::Traffic{14, 56});
  CHECK((*counts)["efsdp"] == FakeCounts::Traffic{7, 28});
}
