#include "ashlar/report/peak_memory.hpp"

#include <cstring>
#include <memory>

#include "ashlar/device/meta.hpp"
#include "ashlar/tensor/tensor.hpp"
#include "catch.hpp"

using namespace ashlar;

TEST_CASE("the peak rises with memory that is touched, and stays when it is given back") {
  const std::int64_t before = peak_resident_bytes();
  REQUIRE(before > 0);
  const std::int64_t size = before + (std::int64_t{32} << 20);  // more than was ever held: the peak has to rise
  {
    const std::unique_ptr<char[]> block(new char[static_cast<std::size_t>(size)]);
    std::memset(block.get(), 1, static_cast<std::size_t>(size));
    volatile char last = block[size - 1];  // the block is used: the compiler must not drop it
    CHECK(last == 1);
    CHECK(peak_resident_bytes() > size);
  }
  CHECK(peak_resident_bytes() > size);
}

namespace {

/// A device whose memory is not the process's to the eyes of peak_memory_bytes.
struct Elsewhere : Cpu {};

}  // namespace

TEST_CASE("a device of its own memory reports the most that it has given at once") {
  Memory<Elsewhere> memory;
  {
    const Tensor<float, Elsewhere> a(memory, {1000}), b(memory, {500});
    CHECK(memory.allocated() == 6000);
  }
  const Tensor<float, Elsewhere> c(memory, {10});
  CHECK(memory.allocated() == 40);
  CHECK(peak_memory_bytes(memory) == 6000);
}

TEST_CASE("an account of Meta gives nothing, and one of Cpu leaves the figure to the system") {
  Memory<Meta> none;
  const Tensor<float, Meta> a(none, {1000});
  CHECK(peak_memory_bytes(none) == 0);
  Memory<Cpu> host;
  CHECK(peak_memory_bytes(host) > 0);
}
