#include "ashlar/checkpoint/element_cast.hpp"

#include <limits>
#include <vector>

#include "catch.hpp"

using namespace ashlar;

namespace {

template <class From, class To>
std::vector<To> cast(const std::vector<From>& from) {
  std::vector<To> to(from.size());
  cast_elements(dtype_of<From>, reinterpret_cast<const std::byte*>(from.data()), dtype_of<To>,
                reinterpret_cast<std::byte*>(to.data()), static_cast<index_t>(from.size()));
  return to;
}

}  // namespace

TEST_CASE("Elements are cast between the floating-point types") {
  const std::vector<float> f{0.0f, -1.5f, 3.140625f, 1e30f};
  CHECK(cast<float, double>(f) == std::vector<double>{0.0, -1.5, 3.140625, static_cast<double>(1e30f)});
  CHECK(cast<double, float>(cast<float, double>(f)) == f);
  CHECK(cast<float, float>(f) == f);
  const auto b = cast<float, bf16>(f);
  CHECK(static_cast<float>(b[2]) == 3.140625f);
  CHECK(cast<bf16, float>(b)[1] == -1.5f);
  CHECK(cast<bf16, double>(b)[2] == 3.140625);
  // 1 + 2^-8 lies halfway between two bf16: the even one is 1.
  CHECK(static_cast<float>(cast<float, bf16>({1.00390625f})[0]) == 1.0f);
  CHECK(static_cast<float>(cast<double, bf16>({1.01171875})[0]) == 1.015625f);
  CHECK(cast<std::int32_t, std::int32_t>({-7, 8}) == std::vector<std::int32_t>{-7, 8});
}

TEST_CASE("Equal types keep every bit, of NaN too") {
  const std::uint32_t bits = 0x7f800001u;  // signalling
  std::uint32_t out = 0;
  cast_elements(DType::f32, reinterpret_cast<const std::byte*>(&bits), DType::f32, reinterpret_cast<std::byte*>(&out),
                1);
  CHECK(out == bits);
}

TEST_CASE("Integers are not cast") {
  CHECK_FALSE(can_cast(DType::i32, DType::f32));
  CHECK_FALSE(can_cast(DType::f32, DType::i64));
  CHECK(can_cast(DType::u8, DType::u8));
  CHECK_THROWS_AS((cast<std::int32_t, float>({1})), Error);
}
