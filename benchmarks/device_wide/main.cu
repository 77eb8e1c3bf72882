// Device-wide sums, sorts and scans: ours beside CUB's, on one GPU in one run. CUB's do what ours do, with temporary
// memory that is there before: they add to a total, and take what order they like as long as a run repeats it. Exits
// with 1 where the two disagree.
#include <thrust/iterator/tabulate_output_iterator.h>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_scan.cuh>

#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

#include "ashlar/core/random.hpp"
#include "ashlar/device/cuda/counting_sort.cuh"
#include "ashlar/ops/elementwise/cuda.cuh"
#include "ashlar/ops/gradient_norm/cuda.cuh"
#include "device_timing.hpp"

using namespace ashlar;
using namespace ashlar::benchmark;

namespace {

/// Device memory that holds `host`, or n elements of nothing in particular.
template <class T>
struct Array {
  explicit Array(std::size_t n) : n(n), p(static_cast<T*>(Cuda::allocate(n * sizeof(T)))) {}
  Array(Cuda::Queue& queue, const std::vector<T>& host) : Array(host.size()) {
    Cuda::upload(queue, p, host.data(), n * sizeof(T));
  }
  Array(const Array&) = delete;
  ~Array() { Cuda::deallocate(p, n * sizeof(T)); }
  std::vector<T> read(Cuda::Queue& queue) const {
    std::vector<T> host(n);
    Cuda::download(queue, host.data(), p, n * sizeof(T));
    return host;
  }
  template <class U = T>
  TensorView<U, Cuda> view() const {
    return {p, {static_cast<index_t>(n)}};
  }
  std::size_t n;
  T* p;
};

/// A call of CUB, f(temporary, bytes), with its temporary memory: asked for once, before the clock runs.
template <class F>
struct Cub {
  explicit Cub(F call) : call(call) {
    this->call(nullptr, bytes);
    temporary = Cuda::allocate(bytes);
  }
  ~Cub() { Cuda::deallocate(temporary, bytes); }
  void operator()() { detail::check_cuda(call(temporary, bytes), "CUB", "see the benchmark"); }
  F call;
  std::size_t bytes = 0;
  void* temporary = nullptr;
};

struct AddTo {
  double* total;
  __device__ void operator()(index_t, double value) const { *total += value; }
};
struct Plain {
  __host__ __device__ double operator()(float x) const { return double(x); }
};
struct Squared {
  __host__ __device__ double operator()(float x) const { return double(x) * double(x); }
};

int wrong = 0;

/// Both sides, and whether they agree.
void compare(Cuda::Queue& queue, const char* name, double bytes, std::function<void()> ours, std::function<void()> cub,
             bool agree) {
  Side a{"", bytes, std::move(ours)}, b{"", bytes, std::move(cub)};
  time_on_device(a, queue, 0.15);
  time_on_device(b, queue, 0.15);
  time_on_device(a, queue, 0.15);  // in turns
  time_on_device(b, queue, 0.15);
  std::printf("%-46s %10.2f us %8.0f GB/s | %10.2f us %8.0f GB/s | %6.2f%s\n", name, 1e6 * a.median(), a.rate() / 1e9,
              1e6 * b.median(), b.rate() / 1e9, b.median() / a.median(), agree ? "" : "  THEY DISAGREE");
  std::fflush(stdout);
  wrong += !agree;
}

template <class Transform, class Ours>
void sums(Cuda::Queue& queue, const char* name, std::size_t n, Ours&& add) {
  std::vector<float> host(n);
  const RandomStream random(1, hash_name(name));
  for (std::size_t i = 0; i < n; ++i) host[i] = i < 65536 ? static_cast<float>(random.uniform(i)) : host[i - 65536];
  const Array<float> x(queue, host);
  const Array<double> total(2), workspace(static_cast<std::size_t>(grid_sum_blocks(static_cast<index_t>(n))));
  const auto stream = static_cast<cudaStream_t>(queue.stream());
  Cub cub([&](void* temporary, std::size_t& bytes) {
    return cub::DeviceReduce::TransformReduce(
        temporary, bytes, x.p, thrust::make_tabulate_output_iterator(AddTo{total.p + 1}), static_cast<std::int64_t>(n),
        cuda::std::plus<>(), Transform(), 0.0, stream);
  });
  const auto ours = [&] { add(x.view<const float>(), total.view().range(0, 1), workspace.view()); };
  const auto totals = [&] {
    Cuda::fill_zero(queue, total.p, 2 * sizeof(double));
    ours();
    cub();
    return total.read(queue);
  };
  const std::vector<double> first = totals(), again = totals();
  double want = 0;
  for (const float value : host) want += Transform()(value);
  const bool agree =
      first == again && std::abs(first[0] - want) < 1e-9 * want && std::abs(first[1] - want) < 1e-9 * want;
  compare(
      queue, name, 4.0 * static_cast<double>(n), ours, [&] { cub(); }, agree);
}

/// The order of n items by key: ours and CUB's sort of pairs, whose values are the items' numbers.
void sorts(Cuda::Queue& queue, const char* name, index_t n, index_t keys) {
  const auto count = static_cast<std::size_t>(n);
  std::vector<std::int32_t> ids(count), items(count);
  const RandomStream random(1, hash_name(name));
  for (std::size_t i = 0; i < count; ++i)
    ids[i] = static_cast<std::int32_t>(random.uniform(i) * static_cast<double>(keys));
  std::iota(items.begin(), items.end(), 0);
  const Array<std::int32_t> in(queue, ids), numbers(queue, items), sorted(count), order(count);
  const Array<std::int32_t> workspace(static_cast<std::size_t>(counting_sort_workspace(n, keys)));
  const auto stream = static_cast<cudaStream_t>(queue.stream());
  int bits = 1;
  while (index_t{1} << bits < keys) ++bits;
  Cub cub([&](void* temporary, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortPairs(temporary, bytes, in.p, sorted.p, numbers.p, order.p, n, 0, bits, stream);
  });
  const auto ours = [&] { return counting_sort(queue, {in.p, 0, keys}, n, workspace.p); };
  cub();
  std::vector<std::int32_t> got(count);
  Cuda::download(queue, got.data(), ours(), count * sizeof(std::int32_t));
  compare(
      queue, name, 8.0 * static_cast<double>(n), [&] { ours(); }, [&] { cub(); }, got == order.read(queue));
}

/// The scan inside of our sort, one block over its table, beside CUB's.
void scans(Cuda::Queue& queue, const char* name, int bins, index_t blocks) {
  const auto count = static_cast<std::size_t>(bins * blocks);
  const std::vector<std::int32_t> host(count, 1);
  const Array<std::int32_t> table(queue, host), in(queue, host), out(count);
  const auto stream = static_cast<cudaStream_t>(queue.stream());
  Cub cub([&](void* temporary, std::size_t& bytes) {
    return cub::DeviceScan::ExclusiveSum(temporary, bytes, in.p, out.p, static_cast<int>(count), stream);
  });
  CountingSortPass pass{};
  pass.bins = bins;
  pass.blocks = blocks;
  pass.table = table.p;
  const auto ours = [&] { launch<CountingSortScan>(queue, {1}, pass); };
  ours();
  cub();
  const bool agree = table.read(queue) == out.read(queue);
  compare(
      queue, name, 8.0 * static_cast<double>(count), ours, [&] { cub(); }, agree);
}

}  // namespace

int main() try {
  cudaDeviceProp device{};
  cudaGetDeviceProperties(&device, 0);
  Cuda::Queue queue;
  std::printf("%s\n%-46s %27s | %27s | ours faster\n", device.name, "", "ours", "CUB");
  const auto sum = [&](auto x, auto total, auto workspace) { ops::cuda::sum<float>(queue, x, total, workspace); };
  const auto squares = [&](auto x, auto total, auto workspace) {
    ops::cuda::sum_of_squares<float>(queue, x, total, workspace);
  };
  sums<Plain>(queue, "sum f32, 2^28", std::size_t{1} << 28, sum);
  sums<Plain>(queue, "sum f32, 2^20", std::size_t{1} << 20, sum);
  sums<Squared>(queue, "sum of squares f32, 2^28", std::size_t{1} << 28, squares);
  sums<Squared>(queue, "sum of squares f32, 2^20", std::size_t{1} << 20, squares);
  sorts(queue, "sort 32768 tokens to 8 of 128 experts", 262144, 128);
  sorts(queue, "sort 131072 tokens to 8 of 256 experts", 1048576, 256);
  sorts(queue, "sort 32768 tokens of 128256", 32768, 128256);
  sorts(queue, "sort 262144 tokens of 128256", 262144, 128256);
  scans(queue, "scan of a sort's table, 129 x 128", 129, 128);
  scans(queue, "scan of a sort's table, 257 x 512", 257, 512);
  std::printf("%d disagree\n", wrong);
  return wrong > 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
