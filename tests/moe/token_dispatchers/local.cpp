#include "ashlar/moe/token_dispatchers/local.hpp"

#include "catch.hpp"
#include "moe/dispatcher_laws.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;

}  // namespace

TEST_CASE("the local dispatcher keeps the laws of dispatchers") {
  CHECK_NOTHROW(test::dispatcher_laws<E, LocalDispatcher<E>>());
}
