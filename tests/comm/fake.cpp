#include "ashlar/comm/fake.hpp"

#include "ashlar/device/meta.hpp"
#include "catch.hpp"
#include "comm/laws.hpp"

using namespace ashlar;
using laws::on_host;
using Traffic = FakeCounts::Traffic;

namespace {

Cpu::Queue here;
Meta::Queue plan;

/// Elements that are counted and not there.
template <class T = float>
TensorView<T, Meta> planned(index_t count) {
  return {nullptr, {count}};
}

/// What `f` sends as `rank` of `size`, in the world group.
template <class F>
Traffic traffic_of(int rank, int size, F&& f) {
  auto counts = std::make_shared<FakeCounts>();
  f(Fake::world(rank, size, counts));
  return (*counts)["world"];
}

}  // namespace

TEST_CASE("a fake rank gets what it would if all ranks held its data", "[comm]") {
  for (int size : {1, 2, 3, 8})
    for (int rank = 0; rank < size; ++rank)
      for (index_t count : {0, 1, 7, 1000}) {
        Communicator c = Fake::world(rank, size, std::make_shared<FakeCounts>());
        laws::same_data_laws<float>(laws::Rank<Cpu>{c, here}, count);
        laws::same_data_laws<double>(laws::Rank<Cpu>{c, here}, count);
        laws::same_data_laws<bf16>(laws::Rank<Cpu>{c, here}, count);
        laws::same_data_laws<std::int32_t>(laws::Rank<Cpu>{c, here}, count);
        laws::same_data_laws<std::int64_t>(laws::Rank<Cpu>{c, here}, count);
        laws::same_data_laws<std::uint8_t>(laws::Rank<Cpu>{c, here}, count);
      }
  SUCCEED();
}

TEST_CASE("a fake rank counts what it sends on a ring", "[comm]") {
  const int n = 8;
  // 1000 floats are 4000 bytes; blocks of 125.
  CHECK(traffic_of(3, n, [&](Communicator c) { c.all_reduce(plan, planned(1000)); }) == Traffic{14, 7000});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.all_gather(plan, planned(125), planned(1000)); }) == Traffic{7, 3500});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.reduce_scatter(plan, planned(1000), planned(125)); }) ==
        Traffic{7, 3500});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.broadcast(plan, planned(1000), 0); }) == Traffic{1, 4000});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.broadcast(plan, planned(1000), 4); }) == Traffic{0, 0});
  CHECK(traffic_of(7, n, [&](Communicator c) { c.broadcast(plan, planned(1000), 0); }) == Traffic{0, 0});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.send(plan, planned(1000), 4, {}); }) == Traffic{1, 4000});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.receive(plan, planned(1000), 4, {}); }) == Traffic{0, 0});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.barrier(); }) == Traffic{3, 0});
  CHECK(traffic_of(3, 9, [&](Communicator c) { c.barrier(); }) == Traffic{4, 0});
  const std::vector<index_t> sends{10, 0, 20, 1000, 0, 5, 0, 0}, receives(8, 1);
  const RowCounts<Meta> rows(sends, receives);
  CHECK(traffic_of(3, n, [&](Communicator c) { c.all_to_all(plan, planned(1035), planned(8), rows); }) ==
        Traffic{3, 140});
  CHECK(traffic_of(3, n, [&](Communicator c) { c.all_reduce(plan, planned<bf16>(1)); }) == Traffic{14, 4});  // 3.5, up
  CHECK(traffic_of(0, 1, [&](Communicator c) { c.all_reduce(plan, planned(1000)); }) == Traffic{0, 0});
}

TEST_CASE("many small sums are counted as one of their size", "[comm]") {
  const Communicator::ReduceView<Meta> all[] = {planned(600), planned(400), planned<std::int32_t>(1000)};
  CHECK(traffic_of(3, 8, [&](Communicator c) { c.all_reduce_each<Meta>(plan, all); }) == Traffic{28, 14000});
}

TEST_CASE("the counts of all ranks add up to the ring's", "[comm]") {
  Traffic sum;
  for (int r = 0; r < 6; ++r) sum = sum + traffic_of(r, 6, [](Communicator c) { c.broadcast(plan, planned(10), 2); });
  CHECK(sum == Traffic{5, 5 * 40});
}

TEST_CASE("fake traffic is counted by axis", "[comm]") {
  auto counts = std::make_shared<FakeCounts>();
  Communicator world = Fake::world(100, 16384, counts);
  const std::vector<int> tp{96, 97, 98, 99, 100, 101, 102, 103}, pp{100, 8292}, alone{100};
  Communicator first = world.group(tp, "tp"), second = world.group(pp, "pp"), third = world.group(alone, "cp");
  CHECK(first.size() == 8);
  CHECK(first.rank() == 4);
  CHECK(second.rank() == 0);
  CHECK(third.size() == 1);
  first.all_reduce(plan, planned(800));
  first.group(std::vector<int>{4, 0}, "tp").send(plan, planned(1), 1, {});
  second.send(plan, planned(10), 1, {});
  third.all_reduce(plan, planned(1000));
  CHECK((*counts)["tp"] == Traffic{15, 5604});
  CHECK((*counts)["pp"] == Traffic{1, 40});
  CHECK((*counts)["cp"] == Traffic{0, 0});
  CHECK(counts->total() == Traffic{16, 5644});
}

TEST_CASE("a fake rank says what it can't know", "[comm]") {
  Communicator c = Fake::world(1, 4, std::make_shared<FakeCounts>());
  CHECK_THROWS_AS(c.split(0, 0, "x"), Error);
  CHECK_THROWS_AS(c.group(std::vector<int>{0, 2}, "x"), Error);
  CHECK_THROWS_AS(Fake::world(4, 4, nullptr), Error);
  float out[8] = {}, in[8] = {};
  const std::vector<index_t> sends{1, 2, 3, 1}, receives{1, 1, 1, 1};
  CHECK_THROWS_AS(c.all_to_all(here, on_host(out, 8), on_host(in, 8), RowCounts<Cpu>(sends, receives)), Error);
  in[0] = 5;
  c.receive(here, on_host(in, 1), 0, {}).wait(here);
  CHECK(in[0] == 0);
}
