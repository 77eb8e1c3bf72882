#include "ashlar/parallel/buffer_pool.hpp"

#include <set>

#include "ashlar/device/cpu.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

struct Fixture {
  Memory<Cpu> memory;
  BufferPool<float, Cpu> pool{memory, 3, 16};
};

}  // namespace

TEST_CASE("a pool hands out each buffer once") {
  Fixture f;
  CHECK(f.memory.persistent() == 3 * 16 * sizeof(float));
  const int a = f.pool.try_take(nullptr), b = f.pool.try_take(nullptr), c = f.pool.try_take(nullptr);
  CHECK(std::set<int>{a, b, c}.size() == 3);
  CHECK(std::set<float*>{f.pool.data(a), f.pool.data(b), f.pool.data(c)}.size() == 3);
  CHECK(f.pool.try_take(nullptr) == -1);
  f.pool.release(b);
  CHECK(f.pool.try_take(nullptr) == b);
}

TEST_CASE("take asks those that can give back, the longest borrower first") {
  Fixture f;
  std::vector<int> asked;
  int slots[3];
  for (int i = 0; i < 3; ++i) {
    slots[i] = f.pool.take(nullptr);
    f.pool.on_demand(slots[i], [&, i] {
      asked.push_back(i);
      f.pool.release(slots[i]);
    });
  }
  CHECK(asked.empty());
  CHECK(f.pool.take(nullptr) == slots[0]);
  CHECK(f.pool.take(nullptr) == slots[1]);
  CHECK(asked == std::vector<int>{0, 1});
}

TEST_CASE("a pinned buffer is not asked for, and a full pool says so") {
  Fixture f;
  bool asked = false;
  int prefetched = -1;
  prefetched = f.pool.try_take([&] {
    asked = true;
    f.pool.release(prefetched);
  });
  f.pool.pin(prefetched);
  f.pool.take(nullptr);
  f.pool.take(nullptr);
  CHECK_THROWS_AS(f.pool.take(nullptr), Error);
  CHECK(!asked);
  f.pool.release(prefetched);
  CHECK(f.pool.take(nullptr) == prefetched);
}

TEST_CASE("a borrower that returned its buffer is not asked for it again") {
  Fixture f;
  bool asked = false;
  const int slot = f.pool.try_take([&] { asked = true; });
  f.pool.release(slot);
  f.pool.take(nullptr);
  f.pool.take(nullptr);
  f.pool.take(nullptr);
  CHECK_THROWS_AS(f.pool.take(nullptr), Error);
  CHECK(!asked);
}
