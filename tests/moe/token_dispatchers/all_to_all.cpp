#include "ashlar/moe/token_dispatchers/all_to_all.hpp"

#include "ashlar/comm/local.hpp"
#include "catch.hpp"
#include "moe/dispatcher_laws.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double, ep>;

}  // namespace

TEST_CASE("the all-to-all dispatcher keeps the laws of dispatchers, on any number of ranks") {
  for (const int ranks : {1, 2, 4}) {
    INFO(ranks << " ranks");
    const auto laws = [](Communicator world) { test::dispatcher_laws<E, AllToAllDispatcher<E>>(world); };
    CHECK_NOTHROW(LocalWorld::run(ranks, laws));
  }
}
