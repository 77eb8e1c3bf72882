#include "ashlar/tensor/upload_ring.hpp"

#include <array>

#include "ashlar/device/cpu.hpp"
#include "ashlar/device/meta.hpp"
#include "catch.hpp"

using namespace ashlar;

TEST_CASE("each call of an UploadRing brings its own pieces, also after the ring has gone round") {
  Cpu::Queue queue;
  UploadRing<Cpu> ring(3 * sizeof(int));
  std::array<int, 2> pair{};
  int single = 0;
  for (int i = 0; i < 5; ++i) {
    const std::array<int, 2> two{i, i + 1};
    const int one = -i;
    ring.upload(queue, {{pair.data(), two.data(), sizeof two}, {nullptr, nullptr, 0}, {&single, &one, sizeof one}});
    CHECK(pair == two);
    CHECK(single == one);
  }
}

TEST_CASE("an UploadRing refuses more than it has room for") {
  Cpu::Queue queue;
  UploadRing<Cpu> ring(4);
  std::int32_t target = 7, source = 1;
  CHECK_THROWS_WITH(ring.upload(queue, {{&target, &source, sizeof source}, {&target, &source, 1}}),
                    ContainsText("staging buffer"));
  CHECK_THROWS_AS(ring.upload(queue, {{&target, &source, 5}}), Error);
}

TEST_CASE("an UploadRing of Meta reads and writes nothing") {
  Meta::Queue queue;
  UploadRing<Meta> ring(8);
  ring.upload(queue, {{nullptr, nullptr, 8}});
}
