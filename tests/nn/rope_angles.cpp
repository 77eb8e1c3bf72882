#include "ashlar/nn/attention/rope_angles.hpp"

#include "ashlar/core/environment.hpp"
#include "ashlar/models/deepseek_v3/deepseek_v3.hpp"
#include "ashlar/models/llama3/llama3.hpp"
#include "ashlar/models/llama4/llama4.hpp"
#include "ashlar/nn/attention/rope_table.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

template <class F>
const typename F::Sizes& flavor(std::string_view name) {
  return find_flavor(F::name, F::flavors(), name);
}

}  // namespace

TEST_CASE("without scaling pair i turns by theta^(-2i / width)") {
  const RopeAngles a = rope_angles(8, 10000, {}, 100000);
  REQUIRE(a.frequencies.size() == 4);
  CHECK(a.frequencies[0] == 1);
  CHECK(a.frequencies[1] == Approx(0.1));
  CHECK(a.frequencies[3] == Approx(0.001));
  CHECK((a.magnitude == 1 && a.score_scale == 1 && a.query_scales.empty()));
}

TEST_CASE("YaRN of DeepSeek-V3's flavors, beyond 4,096 positions") {
  // Values of theta 10,000, width 64, factor 40, worked out by hand from the paper's ramp between pairs 10 and 23.
  const DeepSeekV3Sizes& s = flavor<DeepSeekV3>("671B");
  const RopeAngles a = s.rope_angles(s.rope_width(), 8192);
  REQUIRE(a.frequencies.size() == 32);
  const std::pair<std::size_t, double> known[] = {{0, 1},
                                                  {10, 0.0562341325},
                                                  {11, 0.0390069266},
                                                  {16, 0.0055},
                                                  {22, 0.000177827941},
                                                  {23, 3.3338036e-05},
                                                  {31, 3.3338036e-06}};
  for (const auto& [i, frequency] : known) CHECK(a.frequencies[i] == Approx(frequency).epsilon(1e-8));
  CHECK(a.magnitude == 1);
  CHECK(std::sqrt(a.score_scale) == Approx(1.3688879).epsilon(1e-7));
  CHECK(a.score_scale / std::sqrt(192) == Approx(0.1352338).epsilon(1e-6));
  const DeepSeekV3Sizes& small = flavor<DeepSeekV3>("16B");
  CHECK(small.rope_angles(64, 8192).score_scale / std::sqrt(192) == Approx(0.1142520).epsilon(1e-6));
  const RopeAngles at_most = s.rope_angles(s.rope_width(), 4096);
  CHECK(at_most.frequencies[31] == Approx(0.000133352143).epsilon(1e-8));
  CHECK(at_most.score_scale == 1);
}

TEST_CASE("YaRN without DeepSeek's weights multiplies the table, and its ramp has a width") {
  RopeScaling s{RopeScaling::Kind::yarn, 4, 32};
  const RopeAngles a = rope_angles(8, 50, s, 8);
  CHECK(a.magnitude == Approx(0.1 * std::log(4.0) + 1));
  CHECK(a.score_scale == 1);
  s.mscale = 0.5;
  s.mscale_all_dim = 2;
  CHECK(rope_angles(8, 50, s, 8).magnitude == Approx((0.05 * std::log(4.0) + 1) / (0.2 * std::log(4.0) + 1)));
  s.beta_fast = s.beta_slow = 1e9;  // all pairs turn less: low = 0, high is below it
  s.original_len = 1;
  for (const double f : rope_angles(8, 50, s, 8).frequencies) CHECK(std::isfinite(f));
}

TEST_CASE("Llama 3.1 stretches long wavelengths, keeps short ones, and goes over between them") {
  const DecoderSizes& s = flavor<Llama3>("3.1-8B");
  const RopeAngles a = s.rope_angles(s.rope_width(), 8192);
  const auto plain = [](int i) { return std::pow(500000.0, -i / 64.0); };
  CHECK(a.frequencies[0] == 1);
  CHECK(a.frequencies[28] == plain(28));              // a wavelength of 1,954 positions: below 8,192 / 4
  CHECK(a.frequencies[63] == Approx(plain(63) / 8));  // 2.6 million: above 8,192
  const double f = plain(32), kept = (8192 * f / (2 * 3.14159265358979324) - 1) / 3;  // 4,443
  CHECK((kept > 0 && kept < 1));
  CHECK(a.frequencies[32] == Approx((1 - kept) * f / 8 + kept * f).epsilon(1e-14));
  // Both bounds the same (Llama 4): there is nothing between.
  for (const double x : rope_angles(128, 500000, {RopeScaling::Kind::llama3, 16, 8192, false, 1, 1}, 10).frequencies)
    CHECK(std::isfinite(x));
}

TEST_CASE("Llama 4's queries grow by the logarithm of the interval they are in") {
  Llama4Sizes s = flavor<Llama4>("17bx128e");
  const RopeAngles a = s.rope_angles(s.rope_width(), 20000);
  REQUIRE(a.query_scales.size() == 20000);
  CHECK(a.query_scales[0] == 1);
  CHECK(a.query_scales[8190] == 1);
  CHECK(a.query_scales[8191] == Approx(1 + 0.1 * std::log(2.0)));
  CHECK(a.query_scales[16383] == Approx(1 + 0.1 * std::log(3.0)));
  s.query_scale = 0;
  CHECK(s.rope_angles(s.rope_width(), 10).query_scales.empty());
}

TEST_CASE("a scaling without numbers is refused") {
  CHECK_THROWS_AS(rope_angles(8, 50, {RopeScaling::Kind::yarn}, 8), ConfigError);
  CHECK_THROWS_AS(rope_angles(8, 50, {RopeScaling::Kind::llama3, 0, 8}, 8), ConfigError);
}

TEST_CASE("the table has cos and sin of position times frequency, times the magnitude") {
  using E = Environment<Cpu, double>;
  Memory<Cpu> memory;
  Cpu::Queue queue;
  RopeAngles angles;
  angles.frequencies = {1, 0.25};
  angles.magnitude = 3;
  angles.score_scale = 7;
  angles.query_scales = {1, 2};
  const RopeTable<E> table(memory, queue, 2, angles);
  CHECK(table.view().shape() == Shape{2, 4});
  const double* const row = table.view().row(1);
  CHECK(row[0] == Approx(3 * std::cos(1.0)));
  CHECK(row[1] == Approx(3 * std::sin(1.0)));
  CHECK(row[2] == Approx(3 * std::cos(0.25)));
  CHECK(row[3] == Approx(3 * std::sin(0.25)));
  CHECK(table.score_scale() == 7);
  CHECK(table.query_scales().data()[1] == 2);
}
