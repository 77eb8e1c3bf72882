#include "ashlar/ops/matmul/matmul.hpp"

#include <thread>

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using ops::Transpose;
using test::TestTensor;

namespace {

Cpu::Queue queue;

struct Sizes {
  index_t m, n, k;
};

/// What the product and its error are measured against: sums in double, and the sums of absolute values.
struct Reference {
  std::vector<double> value, scale;
};

template <class T, class C>
Reference reference(const TestTensor<T>& a, bool ta, const TestTensor<T>& b, bool tb, const TestTensor<C>& c, index_t k,
                    double beta) {
  Reference out;
  for (index_t i = 0; i < c.rows(); ++i)
    for (index_t j = 0; j < c.cols(); ++j) {
      double sum = beta == 0 ? 0 : beta * double(c.at(i, j)), scale = std::abs(sum);
      for (index_t l = 0; l < k; ++l) {
        const double term = double(ta ? a.at(l, i) : a.at(i, l)) * double(tb ? b.at(j, l) : b.at(l, j));
        sum += term;
        scale += std::abs(term);
      }
      out.value.push_back(sum);
      out.scale.push_back(scale);
    }
  return out;
}

/// The largest error in units of what the sum's own rounding (of type A) and the result's (of type C) may come to.
template <class A, class C>
double relative_error(const TestTensor<C>& got, const Reference& want) {
  const double sum_unit = std::is_same_v<A, double> ? 0x1p-52 : 0x1p-23;
  const double unit = std::is_same_v<C, bf16> ? 0x1p-8 : sum_unit;
  double worst = 0;
  for (index_t i = 0; i < got.count(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double error = std::abs(double(got.at(i)) - want.value[at]);
    const double allowed = unit * std::abs(want.value[at]) + 8 * sum_unit * want.scale[at] + 1e-300;
    worst = error / allowed <= worst ? worst : std::isnan(error) ? 1e300 : error / allowed;
  }
  return worst;
}

template <class T, class C>
void check_product(Sizes s, bool ta, bool tb, double beta, index_t gap) {
  TestTensor<T> a(ta ? Shape{s.k, s.m} : Shape{s.m, s.k}, gap), b(tb ? Shape{s.n, s.k} : Shape{s.k, s.n}, 2 * gap);
  TestTensor<C> c({s.m, s.n}, 3 * gap);
  a.randomise(1);
  b.randomise(2);
  if (beta != 0) c.randomise(3);  // with beta 0, c holds NaN
  const Reference want = reference(a, ta, b, tb, c, s.k, beta);
  ops::matmul<T, C, Cpu>(queue, a, Transpose(ta), b, Transpose(tb), c, beta);
  INFO(s.m << " x " << s.n << " x " << s.k << " transposed " << ta << tb << " beta " << beta << " gap " << gap);
  CHECK(relative_error<Acc<T>>(c, want) <= 1);
  CHECK(c.guards_intact());
}

template <class T, class C>
void check_products() {
  const Sizes sizes[] = {{1, 1, 1},   {1, 1, 300},  {1, 40, 33},  {40, 1, 33},   {2, 3, 4},    {5, 7, 9}, {8, 32, 16},
                         {3, 65, 17}, {17, 16, 15}, {64, 64, 64}, {100, 33, 70}, {7, 5, 1031}, {1, 3, 0}, {6, 9, 0}};
  for (const Sizes& s : sizes)
    for (int t = 0; t < 4; ++t)
      for (double beta : {0.0, 1.0, -0.5}) check_product<T, C>(s, t & 1, t & 2, beta, (t + s.m) % 3);
  // Larger than a block in each direction.
  check_product<T, C>({300, 70, 40}, false, true, 0, 0);
  check_product<T, C>({33, 1030, 40}, false, false, 1, 1);
  check_product<T, C>({96, 80, 1100}, true, false, 1, 0);
  check_product<T, C>({130, 257, 129}, true, true, 0, 2);
}

}  // namespace

TEST_CASE("matmul equals the sum of products: double", "[matmul]") {
  check_products<double, double>();
}
TEST_CASE("matmul equals the sum of products: float", "[matmul]") {
  check_products<float, float>();
}
TEST_CASE("matmul equals the sum of products: bf16 to bf16", "[matmul]") {
  check_products<bf16, bf16>();
}
TEST_CASE("matmul equals the sum of products: bf16 to float", "[matmul]") {
  check_products<bf16, float>();
}

TEMPLATE_TEST_CASE("matmul: empty results and empty sums", "[matmul]", double, float, bf16) {
  using T = TestType;
  TestTensor<T> a({3, 0}), b({0, 4}), c({3, 4}), none({0, 4}), no_rows({0, 3}), square({3, 4});
  ops::matmul<T, T, Cpu>(queue, a, Transpose::no, b, Transpose::no, c);
  CHECK(c.values() == std::vector<double>(12, 0.0));
  c.fill(T(2.0f));
  ops::matmul<T, T, Cpu>(queue, a, Transpose::no, b, Transpose::no, c, 1.5);
  CHECK(c.values() == std::vector<double>(12, 3.0));
  square.fill(T(1.0f));
  ops::matmul<T, T, Cpu>(queue, no_rows, Transpose::no, square, Transpose::no, none);
  CHECK(none.guards_intact());
}

TEST_CASE("matmul rejects shapes that don't match", "[matmul]") {
  TestTensor<float> a({2, 3}), b({4, 5}), c({2, 5});
  CHECK_THROWS_AS((ops::matmul<float, float, Cpu>(queue, a, Transpose::no, b, Transpose::no, c)), Error);
  CHECK_THROWS_AS((ops::matmul<float, float, Cpu>(queue, a, Transpose::yes, b, Transpose::no, c)), Error);
  CHECK_THROWS_AS((ops::matmul<float, float, Cpu>(queue, a, Transpose::no, b, Transpose::yes, c)), Error);
}

TEMPLATE_TEST_CASE("matmul passes NaN and infinity on, into the rows concerned alone", "[matmul]", double, float,
                   bf16) {
  using T = TestType;
  TestTensor<T> a({20, 30}), b({30, 18}), c({20, 18});
  a.randomise(1);
  b.randomise(2);
  a.at(4, 7) = T(std::numeric_limits<float>::quiet_NaN());
  a.at(19, 29) = T(std::numeric_limits<float>::infinity());
  ops::matmul<T, T, Cpu>(queue, a, Transpose::no, b, Transpose::no, c);
  for (index_t i = 0; i < 20; ++i)
    for (index_t j = 0; j < 18; ++j) {
      const double got = double(c.at(i, j));
      CHECK((i == 4 ? std::isnan(got) : i == 19 ? std::isinf(got) : std::isfinite(got)));
    }
}

TEST_CASE("matmul from several threads at once gives the bits it gives alone", "[matmul]") {
  constexpr int threads = 4;
  TestTensor<float> a({65, 200}), b({70, 200}), alone({65, 70});
  TestTensor<bf16> a16({65, 200}), b16({70, 200}), alone16({65, 70});
  a.randomise(1);
  b.randomise(2);
  a16.randomise(3);
  b16.randomise(4);
  ops::matmul<float, float, Cpu>(queue, a, Transpose::no, b, Transpose::yes, alone);
  ops::matmul<bf16, bf16, Cpu>(queue, a16, Transpose::no, b16, Transpose::yes, alone16);
  std::vector<TestTensor<float>> c(threads, TestTensor<float>({65, 70}));
  std::vector<TestTensor<bf16>> c16(threads, TestTensor<bf16>({65, 70}));
  std::vector<std::thread> pool;
  for (std::size_t t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      Cpu::Queue own;
      const TensorView<const float, Cpu> left = a, right = b;
      const TensorView<const bf16, Cpu> left16 = a16, right16 = b16;
      for (int repeat = 0; repeat < 5; ++repeat) {
        ops::matmul<float, float, Cpu>(own, left, Transpose::no, right, Transpose::yes, c[t]);
        ops::matmul<bf16, bf16, Cpu>(own, left16, Transpose::no, right16, Transpose::yes, c16[t]);
      }
    });
  for (std::thread& thread : pool) thread.join();
  for (std::size_t t = 0; t < threads; ++t) {
    CHECK(c[t].same_bits(alone));
    CHECK(c16[t].same_bits(alone16));
  }
}

TEST_CASE("matmul on Meta counts two operations a term", "[matmul]") {
  Meta::Queue meta;
  const TensorView<const float, Meta> a(nullptr, Shape{3, 5}), b(nullptr, Shape{7, 5});
  ops::matmul<float, float, Meta>(meta, a, Transpose::no, b, Transpose::yes, {nullptr, Shape{3, 7}});
  CHECK(meta.total.flops == 2 * 3 * 5 * 7);
}
