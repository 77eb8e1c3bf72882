#include "ashlar/tensor/arena.hpp"

#include <cstdint>

#include "ashlar/device/cpu.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/tensor/tensor.hpp"
#include "catch.hpp"

using namespace ashlar;

TEST_CASE("an arena is a stack") {
  Memory<Cpu> memory;
  Arena<Cpu> arena(memory, 4096);
  const auto a = arena.push<float>({3, 5});
  CHECK(a.shape() == Shape{3, 5});
  CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % Arena<Cpu>::alignment == 0);
  CHECK(arena.used() == 64);
  const auto mark = arena.mark();
  const auto b = arena.push<double>({9});
  CHECK(arena.used() == 64 + 128);
  CHECK(static_cast<const void*>(b.data()) != a.data());
  arena.release(mark);
  CHECK(arena.used() == 64);
  CHECK(arena.push<double>({9}).data() == b.data());
  arena.clear();
  CHECK(arena.used() == 0);
  CHECK(arena.push<float>({1}).data() == a.data());
}

TEST_CASE("a scope pops what was pushed in it, scopes nest") {
  Memory<Cpu> memory;
  Arena<Cpu> arena(memory, 4096);
  arena.push<float>({1});
  {
    ArenaScope outer(arena);
    arena.push<float>({1});
    {
      ArenaScope inner(arena);
      arena.push<float>({100});
    }
    CHECK(arena.used() == 128);
  }
  CHECK(arena.used() == 64);
}

TEST_CASE("an arena grows by chunks, and what was pushed stays where it is") {
  Memory<Cpu> memory;
  Arena<Cpu> arena(memory, 1024);
  std::vector<TensorView<std::int32_t, Cpu>> all;
  for (int i = 0; i < 50; ++i) {
    all.push_back(arena.push<std::int32_t>({i * 7}));  // up to 1372 bytes: some larger than a chunk
    for (index_t k = 0; k < all.back().count(); ++k) all.back().data()[k] = i;
  }
  for (int i = 0; i < 50; ++i)
    for (index_t k = 0; k < all[static_cast<std::size_t>(i)].count(); ++k)
      REQUIRE(all[static_cast<std::size_t>(i)].data()[k] == i);
  const std::size_t used = arena.used();
  arena.clear();
  for (int i = 0; i < 50; ++i)  // the second round finds the same places: nothing is allocated in a steady step
    REQUIRE(arena.push<std::int32_t>({i * 7}).data() == all[static_cast<std::size_t>(i)].data());
  CHECK(arena.used() == used);
  CHECK(arena.high_water() == used);
}

TEST_CASE("a mark taken before the arena grew pops across chunks") {
  Memory<Cpu> memory;
  Arena<Cpu> arena(memory, 256);
  arena.push<std::byte>({64});
  const auto mark = arena.mark();
  const auto first = arena.push<std::byte>({64});
  arena.push<std::byte>({256});
  arena.push<std::byte>({1000});
  arena.release(mark);
  CHECK(arena.push<std::byte>({64}).data() == first.data());
}

TEST_CASE("the account holds the high-water marks of arenas while they live") {
  Memory<Cpu> memory;
  {
    Arena<Cpu> a(memory), b(memory);
    a.push<float>({16});
    CHECK(memory.arenas() == 64);
    b.push<float>({32});
    CHECK(memory.arenas() == 192);
    a.clear();
    CHECK(memory.arenas() == 192);
    a.push<float>({32});
    CHECK(memory.arenas() == 256);
    CHECK(memory.high_water() == 256);
    const Arena<Cpu> moved(std::move(a));
    CHECK(moved.used() == 128);
    CHECK(memory.arenas() == 256);
  }
  CHECK(memory.arenas() == 0);
}

TEST_CASE("on Meta an arena keeps the same account without storage") {
  Memory<Meta> memory;
  Arena<Meta> arena(memory);
  CHECK(arena.push<double>({index_t{1} << 40}).data() == nullptr);
  CHECK(arena.high_water() == std::size_t{8} << 40);
  CHECK(memory.arenas() == std::size_t{8} << 40);
}

TEST_CASE("tensors own their memory and move") {
  Memory<Cpu> memory;
  {
    Tensor<float, Cpu> a(memory, {2, 3});
    CHECK(memory.persistent() == 24);
    float* const data = a.data();
    Tensor<float, Cpu> b(std::move(a));
    CHECK(b.data() == data);
    CHECK(!a);
    CHECK(a.count() == 0);
    CHECK(!a.view());
    a = std::move(b);
    CHECK(a.data() == data);
    CHECK(memory.persistent() == 24);
    Cpu::Queue queue;
    a.zero(queue);
    CHECK(a.data()[5] == 0);
    a = Tensor<float, Cpu>();
    CHECK(memory.persistent() == 0);
  }
  CHECK(memory.persistent() == 0);
}
