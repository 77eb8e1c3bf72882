// Correct kernels give right results under every schedule, on ragged sizes and 3-D grids, also from several host
// threads.
#include <exception>
#include <numeric>
#include <thread>
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/runtime.hpp"
#include "catch.hpp"

namespace {

using namespace ashlar;
#if ASHLAR_CUDA_EMULATED
using simt::Schedule;
#endif

/// Device memory of a test: uploads a vector, downloads it, frees itself.
template <class T>
class Array {
 public:
  explicit Array(std::size_t n) : n_(n), p_(static_cast<T*>(Cuda::allocate(n * sizeof(T)))) {}
  Array(Cuda::Queue& queue, const std::vector<T>& host) : Array(host.size()) {
    Cuda::upload(queue, p_, host.data(), n_ * sizeof(T));
  }
  ~Array() { Cuda::deallocate(p_, n_ * sizeof(T)); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* get() const { return p_; }
  std::vector<T> download(Cuda::Queue& queue) const {
    std::vector<T> host(n_);
    Cuda::download(queue, host.data(), p_, n_ * sizeof(T));
    return host;
  }

 private:
  std::size_t n_;
  T* p_;
};

/// Runs the test for every schedule, random with several seeds.
template <class F>
void under_every_schedule(F&& test) {
#if ASHLAR_CUDA_EMULATED
  for (const auto mode : {Schedule::round_robin, Schedule::random, Schedule::adversarial})
    for (std::uint64_t seed = 1; seed <= (mode == Schedule::random ? 5u : 1u); ++seed) {
      CAPTURE(static_cast<int>(mode), seed);
      const simt::ScheduleScope scope(mode, seed);
      test();
    }
#else
  test();
#endif
}

/// out[b] = the sum of row b of x[rows, n]. Integers: exact in any order.
struct Sum {
  struct Params {
    const int* x;
    int* out;
    index_t n;
  };
  struct Shared {
    SharedArray<int, 4> partial;
  };
  static constexpr int threads = 128;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    int sum = 0;
    for (index_t i = self.thread(); i < p.n; i += self.threads()) sum += self.load(p.x + self.block_x() * p.n + i);
    for (int delta = 16; delta > 0; delta /= 2) sum += self.shuffle_down(sum, delta);
    if (self.lane() == 0) self.shared().partial[self.warp()] = sum;
    self.sync();
    if (self.thread() > 0) return;
    sum = 0;
    for (int w = 0; w < self.warps(); ++w) sum += self.shared().partial[w];
    self.store(p.out + self.block_x(), sum);
  }
};

/// Inclusive scan of each block's 96 elements, within warps by shuffles, across warps through shared memory.
struct Scan {
  struct Params {
    const int* x;
    int* out;
    index_t n;
  };
  struct Shared {
    SharedArray<int, 3> total;
  };
  static constexpr int threads = 96;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    const index_t i = self.block_x() * threads + self.thread();
    int value = i < p.n ? self.load(p.x + i) : 0;
    for (int delta = 1; delta < 32; delta *= 2) {
      const int below = self.shuffle_up(value, delta);
      if (self.lane() >= delta) value += below;
    }
    if (self.lane() == 31) self.shared().total[self.warp()] = value;
    self.sync();
    for (int w = 0; w < self.warp(); ++w) value += self.shared().total[w];
    if (i < p.n) self.store(p.out + i, value);
  }
};

/// out[c, r] = x[r, c] in tiles of 32 x 32, padded against bank conflicts; block z takes matrix z.
struct Transpose {
  struct Params {
    const float* x;
    float* out;
    index_t rows, columns;
  };
  struct Shared {
    SharedArray<float, 32 * 33> tile;
  };
  static constexpr int threads = 256;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    const index_t matrix = self.block_z() * p.rows * p.columns;
    const index_t row = self.block_y() * 32, column = self.block_x() * 32;
    for (int r = self.warp(); r < 32; r += self.warps())
      if (row + r < p.rows && column + self.lane() < p.columns)
        self.shared().tile[r * 33 + self.lane()] =
            self.load(p.x + matrix + (row + r) * p.columns + column + self.lane());
    self.sync();
    for (int c = self.warp(); c < 32; c += self.warps())
      if (column + c < p.columns && row + self.lane() < p.rows)
        self.store<float>(p.out + matrix + (column + c) * p.rows + row + self.lane(),
                          self.shared().tile[self.lane() * 33 + c]);
  }
};

/// counts[b] += how often b occurs: block counts in shared memory, then into global memory, all by atomics.
struct Histogram {
  static constexpr int bins = 37;
  struct Params {
    const int* x;
    int* counts;
    int* largest;
    index_t n;
  };
  struct Shared {
    SharedArray<int, bins> counts;
  };
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    for (int b = self.thread(); b < bins; b += self.threads()) self.shared().counts[b] = 0;
    self.sync();
    for (index_t i = self.block_x() * threads + self.thread(); i < p.n; i += self.blocks_x() * threads) {
      const int value = self.load(p.x + i);
      self.atomic_add_shared(self.shared().counts[value], 1);
      self.atomic_max(p.largest, value);
    }
    self.sync();
    for (int b = self.thread(); b < bins; b += self.threads()) {
      const int count = self.shared().counts[b];
      if (count > 0) self.atomic_add(p.counts + b, count);
    }
  }
};

/// Every block writes where it is.
struct Indices {
  struct Params {
    index_t* out;
    index_t y, z;
  };
  using Shared = NoShared;
  static constexpr int threads = 32;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    const index_t block = (self.block_z() * p.y + self.block_y()) * self.blocks_x() + self.block_x();
    self.store(p.out + block * threads + self.thread(),
               self.block_x() + 100 * self.block_y() + 10000 * self.block_z() + 1000000 * self.thread());
  }
};

/// Two halves of the block hand a value back and forth over named barriers; votes and matches inside warps.
struct Halves {
  struct Params {
    int* out;
    unsigned* votes;
  };
  struct Shared {
    SharedArray<int, 64> left, right;
  };
  static constexpr int threads = 128;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    const int half = self.thread() / 64, i = self.thread() % 64;
    auto& mine = half == 0 ? self.shared().left : self.shared().right;
    mine[i] = self.thread();
    self.sync(1 + half, 64);
    const int neighbour = mine[(i + 1) % 64];
    self.sync(1 + half, 64);
    mine[i] += neighbour;
    self.sync();
    const int other = (half == 0 ? self.shared().right : self.shared().left)[i];
    self.store(p.out + self.thread(), other);

    const unsigned odd = self.ballot(self.lane() % 2 == 1);
    const unsigned same = self.match_any(static_cast<std::uint32_t>(self.lane() / 8));
    unsigned low = 0;
    if (self.lane() < 5)
      low = self.ballot(self.any(self.lane() == 4, 0x1fu) && !self.all(self.lane() == 4, 0x1fu), 0x1fu);
    self.store(p.votes + self.thread(), odd ^ same ^ low);
  }
};

/// Element types: a 16-byte vector in global memory, bf16 and double in shared memory, reads through the pointer.
struct Types {
  struct alignas(16) Eight {
    bf16 x[8];
  };
  struct Params {
    const bf16* x;
    bf16* out;
    double* sum;
  };
  struct Shared {
    SharedArray<bf16, 256> values;
    SharedArray<double, 1> sum;
  };
  static constexpr int threads = 32;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    Eight eight = self.load(reinterpret_cast<const Eight*>(p.x) + self.thread());
    if (self.thread() == 0) self.shared().sum[0] = 0.0;
    self.sync();
    for (int i = 0; i < 8; ++i) {
      self.shared().values[self.thread() * 8 + i] = eight.x[i];
      self.shared().values[self.thread() * 8 + i] = self.shared().values[self.thread() * 8 + i] + 1.0f;
      self.atomic_add(&self.shared().sum[0], static_cast<double>(eight.x[i]));
    }
    self.sync();
    for (int i = 0; i < 8; ++i) eight.x[i] = self.shared().values[255 - self.thread() * 8 - i] * 2.0f;
    self.store(reinterpret_cast<Eight*>(p.out) + self.thread(), eight);
    if (self.thread() == 0) self.store(p.sum, self.load(&self.shared().sum[0]));
  }
};

std::vector<int> numbers(std::size_t n, int below) {
  std::vector<int> x(n);
  unsigned state = 12345;
  for (int& v : x) v = static_cast<int>((state = state * 1664525u + 1013904223u) >> 8) % below;
  return x;
}

void check_sum(Cuda::Queue& queue, index_t rows, index_t n) {
  const auto x = numbers(static_cast<std::size_t>(rows * n), 1000);
  const Array<int> in(queue, x), out(static_cast<std::size_t>(rows));
  launch<Sum>(queue, Grid{rows}, {in.get(), out.get(), n});
  const auto sums = out.download(queue);
  for (index_t r = 0; r < rows; ++r)
    if (sums[static_cast<std::size_t>(r)] != std::accumulate(x.begin() + r * n, x.begin() + (r + 1) * n, 0))
      throw Error(concat("row ", r, " of ", n));
}

}  // namespace

TEST_CASE("a reduction over shuffles and shared memory") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    for (const index_t n : {1, 31, 32, 127, 128, 129, 1000}) CHECK_NOTHROW(check_sum(queue, 5, n));
  });
}

TEST_CASE("a scan") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    for (const std::size_t n : {1u, 95u, 96u, 97u, 300u}) {
      const auto x = numbers(n, 1000);
      const Array<int> in(queue, x), out(n);
      launch<Scan>(queue, Grid{ceil_div(static_cast<index_t>(n), 96)}, {in.get(), out.get(), static_cast<index_t>(n)});
      auto expected = x;
      for (std::size_t i = 1; i < n; ++i)
        if (i % 96 != 0) expected[i] += expected[i - 1];
      CHECK(out.download(queue) == expected);
    }
  });
}

TEST_CASE("a transpose through shared memory, several matrices") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    const index_t rows = 45, columns = 70, matrices = 2;
    std::vector<float> x(static_cast<std::size_t>(rows * columns * matrices));
    std::iota(x.begin(), x.end(), 0.0f);
    const Array<float> in(queue, x), out(x.size());
    launch<Transpose>(queue, Grid{ceil_div(columns, 32), ceil_div(rows, 32), matrices},
                      {in.get(), out.get(), rows, columns});
    const auto y = out.download(queue);
    std::vector<float> expected(x.size());
    for (index_t m = 0; m < matrices; ++m)
      for (index_t r = 0; r < rows; ++r)
        for (index_t c = 0; c < columns; ++c)
          expected[static_cast<std::size_t>((m * columns + c) * rows + r)] =
              x[static_cast<std::size_t>((m * rows + r) * columns + c)];
    CHECK(y == expected);
  });
}

TEST_CASE("a histogram by atomics") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    const auto x = numbers(1001, Histogram::bins);
    const Array<int> in(queue, x), counts(Histogram::bins), largest(1);
    Cuda::fill_zero(queue, counts.get(), Histogram::bins * sizeof(int));
    Cuda::fill_zero(queue, largest.get(), sizeof(int));
    launch<Histogram>(queue, Grid{3}, {in.get(), counts.get(), largest.get(), 1001});
    std::vector<int> expected(Histogram::bins);
    for (const int v : x) ++expected[static_cast<std::size_t>(v)];
    CHECK(counts.download(queue) == expected);
    CHECK(largest.download(queue)[0] == Histogram::bins - 1);
  });
}

TEST_CASE("block indices of a 3-D grid; an empty grid runs nothing") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    const Array<index_t> out(4 * 3 * 2 * 32);
    launch<Indices>(queue, Grid{4, 3, 2}, {out.get(), 3, 2});
    const auto at = out.download(queue);
    std::size_t i = 0;
    bool right = true;
    for (index_t z = 0; z < 2; ++z)
      for (index_t y = 0; y < 3; ++y)
        for (index_t x = 0; x < 4; ++x)
          for (index_t t = 0; t < 32; ++t) right = right && at[i++] == x + 100 * y + 10000 * z + 1000000 * t;
    CHECK(right);
    launch<Indices>(queue, Grid{4, 0, 2}, {nullptr, 3, 2});
  });
  CHECK_THROWS_WITH(launch<Indices>(queue, Grid{1, 70000, 1}, {}), ContainsText("CUDA refused a launch"));
}

TEST_CASE("named barriers, votes and matches") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    const Array<int> out(128);
    const Array<unsigned> votes(128);
    launch<Halves>(queue, Grid{}, {out.get(), votes.get()});
    const auto y = out.download(queue);
    const auto v = votes.download(queue);
    bool right = true;
    for (int t = 0; t < 128; ++t) {
      const int other = (t + 64) % 128;
      right = right && y[static_cast<std::size_t>(t)] == other + other / 64 * 64 + (other + 1) % 64;
      const int lane = t % 32;
      const unsigned expected = 0xaaaaaaaau ^ (0xffu << (lane / 8 * 8)) ^ (lane < 5 ? 0x1fu : 0u);
      right = right && v[static_cast<std::size_t>(t)] == expected;
    }
    CHECK(right);
  });
}

TEST_CASE("element types: vectors of bf16, bf16 and double in shared memory") {
  Cuda::Queue queue;
  std::vector<bf16> x;
  for (int i = 0; i < 256; ++i) x.push_back(static_cast<float>(i % 64));
  const Array<bf16> in(queue, x), out(256);
  const Array<double> sum(1);
  launch<Types>(queue, Grid{}, {in.get(), out.get(), sum.get()});
  const auto y = out.download(queue);
  bool right = true;
  for (std::size_t i = 0; i < 256; ++i) right = right && y[i] == 2.0f * (static_cast<float>((255 - i) % 64) + 1);
  CHECK(right);
  CHECK(sum.download(queue)[0] == 4 * 63 * 64 / 2);
}

// What only the emulator can show.
#if ASHLAR_CUDA_EMULATED
namespace {

/// A lock of compare and swap around an increment in two steps (atomic ones: without a fence, plain ones would race).
struct Lock {
  struct Params {
    int* lock;
    int* count;
  };
  using Shared = NoShared;
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    while (self.atomic_cas(p.lock, 0, 1) != 0) {}
    const int count = self.atomic_add(p.count, 0);
    self.atomic_max(p.count, count + 1);
    self.atomic_cas(p.lock, 1, 0);
  }
};

/// The order in which threads take tickets shows the schedule.
struct Tickets {
  struct Params {
    int* next;
    int* ticket;
  };
  using Shared = NoShared;
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    self.store(p.ticket + self.thread(), self.atomic_add(p.next, 1));
  }
};

}  // namespace

TEST_CASE("a lock: a thread that spins lets the others run") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    const Array<int> lock(queue, {0}), count(queue, {0});
    launch<Lock>(queue, Grid{2}, {lock.get(), count.get()});
    CHECK(count.download(queue)[0] == 128);
  });
}

TEST_CASE("several host threads run kernels at the same time") {
  std::vector<std::exception_ptr> errors(4);
  std::vector<std::thread> ranks;
  for (std::size_t rank = 0; rank < errors.size(); ++rank)
    ranks.emplace_back([rank, &error = errors[rank]] {
      try {
        const simt::ScheduleScope scope(rank % 2 == 0 ? Schedule::random : Schedule::adversarial, rank);
        Cuda::Queue queue;
        for (index_t n = 1; n < 30; ++n) check_sum(queue, 3, n * 7);
      } catch (...) {
        error = std::current_exception();
      }
    });
  for (auto& rank : ranks) rank.join();
  for (const auto& error : errors) CHECK_FALSE(error);
}

TEST_CASE("the random schedule depends on the seed alone") {
  Cuda::Queue queue;
  const auto order = [&](Schedule mode, std::uint64_t seed) {
    const simt::ScheduleScope scope(mode, seed);
    const Array<int> next(queue, {0}), ticket(64);
    launch<Tickets>(queue, Grid{}, {next.get(), ticket.get()});
    return ticket.download(queue);
  };
  CHECK(order(Schedule::random, 7) == order(Schedule::random, 7));
  CHECK(order(Schedule::random, 7) != order(Schedule::random, 8));
  const auto first_to_last = order(Schedule::round_robin, 1), last_to_first = order(Schedule::adversarial, 1);
  CHECK((first_to_last.front() == 0 && first_to_last.back() == 63));
  CHECK((last_to_first.front() == 63 && last_to_first.back() == 0));
}
#endif
