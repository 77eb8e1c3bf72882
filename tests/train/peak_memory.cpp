#include "ashlar/train/peak_memory.hpp"

#include <cstring>
#include <memory>

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("the peak rises with memory that is touched, and stays when it is given back") {
  constexpr std::int64_t size = std::int64_t{96} << 20;
  const std::int64_t before = peak_resident_bytes();
  REQUIRE(before > 0);
  {
    const std::unique_ptr<char[]> block(new char[size]);
    std::memset(block.get(), 1, size);
    volatile char last = block[size - 1];  // the block is used: the compiler must not drop it
    CHECK(last == 1);
    CHECK(peak_resident_bytes() > size);
  }
  CHECK(peak_resident_bytes() > size);
}
