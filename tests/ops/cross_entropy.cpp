#include "ashlar/ops/cross_entropy/cross_entropy.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using ops::ignore_index;
using test::TestTensor;

namespace {

Cpu::Queue queue;

template <class A>
struct Result {
  std::vector<double> loss, dlogits;
};

/// The three operations over `parts` vocabulary shards, the last one shorter when `parts` doesn't divide it.
template <class T>
Result<Acc<T>> run(const TestTensor<Acc<T>>& logits, TestTensor<std::int32_t>& targets, index_t parts, double scale) {
  using A = Acc<T>;
  const index_t rows = logits.rows(), vocab = logits.cols(), width = parts > 1 ? ceil_div(vocab, parts) : vocab;
  TestTensor<A> shards({parts, rows, 3}), statistics({rows, 3}, 1), loss({rows});
  std::vector<TestTensor<A>> slices;
  for (index_t p = 0; p < parts; ++p) {
    const index_t first = std::min(vocab, p * width), n = std::min(vocab, first + width) - first;
    TestTensor<A>& z = slices.emplace_back(Shape{rows, n}, p);
    for (index_t i = 0; i < rows; ++i)
      for (index_t v = 0; v < n; ++v) z.at(i, v) = logits.at(i, first + v);
    const TensorView<A, Cpu> mine(shards.view().row(p * rows), Shape{rows, 3});
    ops::cross_entropy_statistics<A, Cpu>(queue, z, targets, first, mine);
  }
  ops::cross_entropy_merge<A, Cpu>(queue, shards, statistics.view());
  CHECK(statistics.guards_intact());
  Result<A> out;
  out.dlogits.resize(static_cast<std::size_t>(rows * vocab));
  for (index_t p = 0; p < parts; ++p) {
    const index_t first = std::min(vocab, p * width);
    TestTensor<A>& z = slices[static_cast<std::size_t>(p)];
    TestTensor<T> dz({rows, z.cols()}, p);
    loss.poison();
    ops::cross_entropy_backward<T, Cpu>(queue, z, targets, first, statistics, scale, dz, loss);
    CHECK(dz.guards_intact());
    for (index_t i = 0; i < rows; ++i)
      for (index_t v = 0; v < z.cols(); ++v)
        out.dlogits[static_cast<std::size_t>(i * vocab + first + v)] = double(dz.at(i, v));
    if (p == 0)
      out.loss = loss.values();
    else
      CHECK(test::max_error(loss.values(), out.loss) == 0);
  }
  return out;
}

template <class A>
Result<A> reference(const TestTensor<A>& logits, const TestTensor<std::int32_t>& targets, double scale) {
  Result<A> out;
  for (index_t i = 0; i < logits.rows(); ++i) {
    long double m = -1e30L, sum = 0;
    for (index_t v = 0; v < logits.cols(); ++v) m = std::max<long double>(m, logits.at(i, v));
    for (index_t v = 0; v < logits.cols(); ++v) sum += std::exp(static_cast<long double>(logits.at(i, v)) - m);
    const bool valid = targets.at(i) != ignore_index;
    out.loss.push_back(valid ? double(m + std::log(sum) - static_cast<long double>(logits.at(i, targets.at(i)))) : 0);
    for (index_t v = 0; v < logits.cols(); ++v) {
      const double p = double(std::exp(static_cast<long double>(logits.at(i, v)) - m) / sum);
      out.dlogits.push_back(valid ? scale * (p - (v == targets.at(i) ? 1 : 0)) : 0);
    }
  }
  return out;
}

template <class A>
void fill(TestTensor<A>& logits, TestTensor<std::int32_t>& targets, double scale) {
  logits.randomise(1, scale);
  const RandomStream stream(5, 5);
  for (index_t i = 0; i < targets.count(); ++i)
    targets.at(i) =
        i % 4 == 1
            ? ignore_index
            : static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(i),
                                                     static_cast<std::uint64_t>(std::max<index_t>(1, logits.cols()))));
}

}  // namespace

TEMPLATE_TEST_CASE("cross_entropy equals its formula, with the vocabulary whole or sharded", "[cross_entropy]", double,
                   float, bf16) {
  using T = TestType;
  const double scale = 0.125;
  for (index_t vocab : {1, 2, 8, 97, 1000})
    for (index_t parts : {1, 2, 3}) {
      TestTensor<Acc<T>> logits({21, vocab});
      TestTensor<std::int32_t> targets({21});
      fill(logits, targets, 3);
      targets.at(0) = 0;
      targets.at(2) = static_cast<std::int32_t>(vocab - 1);
      targets.at(3) = static_cast<std::int32_t>(std::min(vocab - 1, ceil_div(vocab, parts)));  // a shard's first id
      const auto got = run<T>(logits, targets, parts, scale);
      const auto want = reference(logits, targets, scale);
      INFO("vocabulary " << vocab << " in " << parts);
      CHECK(test::max_error(got.loss, want.loss, 1) < (std::is_same_v<T, double> ? 1e-14 : 1e-6));
      CHECK(test::max_error(got.dlogits, want.dlogits) < test::tolerance<T>);
    }
}

TEST_CASE("cross_entropy's gradient is its derivative", "[cross_entropy]") {
  TestTensor<double> logits({3, 11});
  TestTensor<std::int32_t> targets({3}, {4, ignore_index, 10});
  logits.randomise(1, 2);
  const auto loss = [&] {
    double sum = 0;
    for (double l : run<double>(logits, targets, 2, 1).loss) sum += l;
    return sum;
  };
  CHECK(test::max_error(run<double>(logits, targets, 1, 1).dlogits, test::finite_differences(logits, loss)) < 1e-7);
}

TEMPLATE_TEST_CASE("cross_entropy of large logits stays finite", "[cross_entropy]", double, float) {
  using T = TestType;
  TestTensor<T> logits({4, 6});
  TestTensor<std::int32_t> targets({4}, {0, 1, 2, 3});
  for (index_t i = 0; i < 4; ++i)
    for (index_t v = 0; v < 6; ++v) logits.at(i, v) = T((v + i) % 2 ? 1e4 : -1e4);
  for (index_t v = 0; v < 6; ++v) logits.at(3, v) = T(-1e4);
  logits.at(0, 5) = -std::numeric_limits<T>::infinity();
  for (index_t parts : {1, 2, 3}) {
    const auto got = run<T>(logits, targets, parts, 1);
    const auto want = reference(logits, targets, 1);
    CHECK(test::max_error(got.loss, want.loss, 1) < 1e-6);
    CHECK(test::max_error(got.dlogits, want.dlogits) < 4e-6);
  }
}

TEST_CASE("cross_entropy keeps NaN: it must not pass for a loss", "[cross_entropy]") {
  for (index_t where : {0, 5, 16, 20}) {
    TestTensor<float> logits({2, 21});
    TestTensor<std::int32_t> targets({2}, {3, 3});
    logits.fill(1);
    logits.at(0, where) = std::numeric_limits<float>::quiet_NaN();
    for (index_t parts : {1, 3}) {
      const auto got = run<float>(logits, targets, parts, 1);
      CHECK(std::isnan(got.loss[0]));
      CHECK(std::isnan(got.dlogits[0]));
      CHECK(got.loss[1] == Approx(std::log(21.0)));
    }
  }
}

TEMPLATE_TEST_CASE("cross_entropy: ignored rows, no rows, no columns", "[cross_entropy]", double, float, bf16) {
  using T = TestType;
  using A = Acc<T>;
  TestTensor<A> logits({3, 40});
  TestTensor<std::int32_t> targets({3}, {ignore_index, ignore_index, ignore_index});
  logits.randomise(1);
  logits.at(7) = std::numeric_limits<A>::quiet_NaN();
  const auto got = run<T>(logits, targets, 1, 1);
  CHECK(got.loss == std::vector<double>(3, 0.0));
  CHECK(got.dlogits == std::vector<double>(120, 0.0));

  TestTensor<A> none({0, 40}), empty({2, 0}), statistics({2, 3});
  TestTensor<std::int32_t> no_targets({0}), two({2}, {0, 7});
  CHECK(run<T>(none, no_targets, 2, 1).loss.empty());
  ops::cross_entropy_statistics<A, Cpu>(queue, empty, two, 0, statistics.view());
  for (index_t i = 0; i < 2; ++i) {
    CHECK(statistics.at(i, 0) == -std::numeric_limits<A>::infinity());
    CHECK(statistics.at(i, 1) == 0);
    CHECK(statistics.at(i, 2) == 0);
  }
}

TEST_CASE("cross_entropy_backward in place, and for the loss alone", "[cross_entropy]") {
  TestTensor<float> logits({9, 50}, 2), statistics({9, 3}), loss({9}), only_loss({9});
  TestTensor<std::int32_t> targets({9});
  fill(logits, targets, 4);
  const auto want = reference(logits, targets, 0.5);
  ops::cross_entropy_statistics<float, Cpu>(queue, logits, targets, 0, statistics.view());
  ops::cross_entropy_backward<float, Cpu>(queue, logits, targets, 0, statistics, 0.5, {}, only_loss);
  ops::cross_entropy_backward<float, Cpu>(queue, logits, targets, 0, statistics, 0.5, logits, loss);
  CHECK(loss.same_bits(only_loss));
  CHECK(test::max_error(loss.values(), want.loss, 1) < 1e-6);
  CHECK(test::max_error(logits.values(), want.dlogits) < 4e-6);
  CHECK(logits.guards_intact());
}
