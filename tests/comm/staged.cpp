// A device's memory through copies on the host: the laws on a device of the tests' own.
#include "ashlar/comm/staged.hpp"

#include "ashlar/comm/local.hpp"
#include "ashlar/comm/world.hpp"
#include "catch.hpp"
#include "comm/laws.hpp"

using namespace ashlar;

namespace {

/// Memory of its own kind over the host's: its elements are stored turned around, so that who takes one for the other
/// is found out.
struct Mirror {
  static constexpr const char* name = "mirror";
  static constexpr bool has_storage = true;
  struct Queue {};
  class Staging {
   public:
    explicit Staging(std::size_t) {}
    std::byte* fill() { return nullptr; }
  };
  static void* allocate(std::size_t bytes) { return Cpu::allocate(bytes); }
  static void deallocate(void* p, std::size_t bytes) { Cpu::deallocate(p, bytes); }
  static void fill_zero(Queue&, void* p, std::size_t bytes) { std::memset(p, 0xff, bytes); }
  static void copy(Queue&, void* to, const void* from, std::size_t bytes) { std::memmove(to, from, bytes); }
  static void upload(Queue&, void* to, const void* from, std::size_t bytes) { turn(to, from, bytes); }
  static void upload(Queue&, void*, Staging&, std::size_t, std::size_t) {}
  static void download(Queue&, void* to, const void* from, std::size_t bytes) { turn(to, from, bytes); }
  static void synchronize(Queue&) {}

 private:
  static void turn(void* to, const void* from, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) static_cast<std::byte*>(to)[i] = ~static_cast<const std::byte*>(from)[i];
  }
};
static_assert(Device<Mirror>);

}  // namespace

TEST_CASE("the communicator's laws hold for a device's memory, through the host", "[comm]") {
  const int size = GENERATE(1, 2, 3, 4);
  INFO("ranks: " << size);
  REQUIRE_NOTHROW(laws::communicator_laws<Mirror>(
      [](int n, const laws::Body& body) { LocalWorld::run(n, [&](Communicator c) { body(world_on<Mirror>(c)); }); },
      size));
}

TEST_CASE("one world knows the host's memory and the device's, and so do its groups", "[comm]") {
  LocalWorld::run(2, [](Communicator host) {
    Communicator both = world_on<Mirror>(host);
    laws::expect(world_on<Mirror>(both).device_backend() == both.device_backend(), "a world has one device backend");
    Communicator pair = both.group(std::vector<int>{1, 0}, "pair");
    Mirror::Queue queue;
    Cpu::Queue here;
    const laws::Values<float, Mirror> x(queue, std::vector<float>{1});
    float y = 1;
    pair.all_reduce(queue, x.view()).wait(queue);
    pair.all_reduce(here, laws::on_host(&y, 1)).wait(here);
    laws::expect(x.read()[0] == 2 && y == 2, "sums in both memories");
    bool refused = false;
    try {
      host.all_reduce(queue, x.view());
    } catch (const Error&) {
      refused = true;
    }
    laws::expect(refused, "a world of the host's memory alone says so");
  });
}

TEST_CASE("a rank's place on its machine", "[comm]") {
  LocalWorld::run(3, [](Communicator c) {
    const LocalRank local = local_rank(c);
    laws::expect(local.rank == c.rank() && local.size == 3, "threads of one process are on one machine");
  });
}
