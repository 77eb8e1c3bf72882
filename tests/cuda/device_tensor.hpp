// Runs an operation on Cpu and, under every schedule of the emulator (or again and again on a GPU), on Cuda, and
// compares. Tensors have gaps between rows and odd addresses where a test wants them; on Cuda, memory that nothing has
// written can't be read. Read next: tests/cuda/rms_norm.cpp.
#pragma once

#include <cstdlib>
#include <cstring>
#include <vector>

#include "../ops/test_tensor.hpp"
#include "ashlar/device/cuda/runtime.hpp"
#include "catch.hpp"

#if ASHLAR_CUDA_EMULATED
#include "ashlar/emulator/schedule.hpp"
#endif

namespace ashlar::test {

/// One queue for all tests: on a GPU it takes a while to create.
template <class D>
typename D::Queue& queue() {
  static typename D::Queue queue;
  return queue;
}

/// How often agrees_with_cpu runs on Cuda: fewer times under tools that make each run slow (tests/device.sh).
inline int attempts() {
  const char* const number = std::getenv("ASHLAR_TEST_ATTEMPTS");
  return number ? std::atoi(number) : 4;
}
/// ASHLAR_TEST_POISON=0 leaves a GPU's fresh memory as it is. Poison counts as written for compute-sanitizer's
/// initcheck, which then finds no read of what only the poison wrote; without poison, writes into gaps are not noticed.
inline bool poisons_fresh_memory() {
  const char* const choice = std::getenv("ASHLAR_TEST_POISON");
  return !choice || std::strcmp(choice, "0") != 0;
}

/// Where the rows of a tensor lie: so many elements into the allocation, with so many unused ones after each.
struct Layout {
  index_t offset = 0, gap = 0;
};

template <class T, class D>
class DeviceTensor {
 public:
  explicit DeviceTensor(const Shape& shape, Layout layout = {}) : shape_(shape), layout_(layout) {
    stride_ = (shape.rank() ? shape[-1] : 1) + layout.gap;
    bytes_ = static_cast<std::size_t>(layout.offset + view().rows() * stride_) * sizeof(T);
    data_ = static_cast<T*>(D::allocate(bytes_));
    poison();
  }
  DeviceTensor(const TestTensor<T>& host, Layout layout = {}) : DeviceTensor(host.shape(), layout) {
    const index_t cols = host.cols();
    std::vector<T> row(static_cast<std::size_t>(cols));
    for (index_t r = 0; r < host.rows(); ++r) {
      for (index_t c = 0; c < cols; ++c) row[static_cast<std::size_t>(c)] = host.at(r, c);
      D::upload(queue<D>(), view().row(r), row.data(), row.size() * sizeof(T));
    }
  }
  ~DeviceTensor() { D::deallocate(data_, bytes_); }
  DeviceTensor(const DeviceTensor&) = delete;
  DeviceTensor& operator=(const DeviceTensor&) = delete;

  TensorView<T, D> view() const { return {data_ + layout_.offset, shape_, stride_}; }
  operator TensorView<T, D>() const { return view(); }
  operator TensorView<const T, D>() const { return view(); }

  /// All elements, in order. Fails the test if anything else in the allocation was written.
  std::vector<double> values() const {
    std::vector<T> all(bytes_ / sizeof(T));
    D::download(queue<D>(), all.data(), data_, bytes_);
    std::vector<double> out;
    bool gaps_intact = true;
    for (index_t i = -layout_.offset; i < static_cast<index_t>(all.size()) - layout_.offset; ++i) {
      const T& value = all[static_cast<std::size_t>(i + layout_.offset)];
      if (i >= 0 && i % stride_ < view().cols()) {
        out.push_back(static_cast<double>(value));
      } else {
        T poison;
        std::memset(static_cast<void*>(&poison), 0xff, sizeof(T));
        gaps_intact = gaps_intact && std::memcmp(&poison, &value, sizeof(T)) == 0;
      }
    }
    if (!is_gpu() || poisons_fresh_memory()) CHECK(gaps_intact);
    return out;
  }

 private:
  static constexpr bool is_gpu() { return std::is_same_v<D, Cuda> && !ASHLAR_CUDA_EMULATED; }
  /// All bits set: what the emulator's fresh memory holds, which it also takes for unwritten.
  void poison() {
    if (!std::is_same_v<D, Cpu> && (!is_gpu() || !poisons_fresh_memory())) return;
    const std::vector<std::uint8_t> ones(bytes_, std::uint8_t{0xff});
    D::upload(queue<D>(), data_, ones.data(), bytes_);
  }

  Shape shape_;
  Layout layout_;
  index_t stride_;
  std::size_t bytes_;
  T* data_;
};

/// What an operation wrote: integers must agree exactly, numbers within a tolerance.
struct Results {
  std::vector<std::vector<double>> numbers, integers = {};
};

inline bool same_bits(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() ||
        (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(double)) != 0))
      return false;
  return true;
}

/// run(Cuda{}) must give the same bits under every schedule, and agree with run(Cpu{}).
template <class Run>
void agrees_with_cpu(Run run, double tolerance, double floor = 1e-2) {
  const Results want = run(Cpu{});
  Results first;
  for (int attempt = 0; attempt < attempts(); ++attempt) {
    CAPTURE(attempt);
#if ASHLAR_CUDA_EMULATED
    using simt::Schedule;
    const simt::ScheduleScope scope(attempt == 0   ? Schedule::round_robin
                                    : attempt == 1 ? Schedule::adversarial
                                                   : Schedule::random,
                                    static_cast<std::uint64_t>(attempt));
#endif
    const Results got = run(Cuda{});
    if (attempt > 0) {
      CHECK(same_bits(got.numbers, first.numbers));
      CHECK(same_bits(got.integers, first.integers));
      continue;
    }
    REQUIRE(got.numbers.size() == want.numbers.size());
    for (std::size_t i = 0; i < want.numbers.size(); ++i) {
      CAPTURE(i);
      CHECK(max_error(got.numbers[i], want.numbers[i], floor) <= 2 * tolerance);  // both are rounded
    }
    CHECK(got.integers == want.integers);
    first = got;
  }
}

/// Layouts that take every path of loads: aligned packs, aligned packs between gaps, single elements.
inline constexpr Layout layouts[] = {{0, 0}, {0, 16}, {1, 3}};

/// body(rows, cols, layout) over empty and ragged shapes, with the layouts taking turns.
template <class Body>
void for_each_shape(Body body) {
  int turn = 0;
  for (const index_t rows : {0, 1, 33, 131})
    for (const index_t cols : {1, 7, 64, 65, 300}) {
      const Layout layout = layouts[turn++ % 3];
      CAPTURE(rows, cols, layout.offset, layout.gap);
      body(rows, cols, layout);
    }
}

}  // namespace ashlar::test
