// The copy engine brings every byte of a box to the place that the manual says, fills with zero what is outside of the
// array, drops stores there, and adds; in every swizzle, in two to five dimensions, over addresses that wrap.
#include <array>
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace {

using namespace ashlar;

enum class Way { load, store, add };

template <int Rank>
ASHLAR_DEVICE void start(Way way, void* shared, const ptx::TensorMap& map, ptx::Barrier& barrier, const int (&c)[5]) {
  if constexpr (Rank == 2) {
    if (way == Way::load) ptx::load(shared, map, barrier, c[0], c[1]);
    if (way == Way::store) ptx::store(map, shared, c[0], c[1]);
    if (way == Way::add) ptx::add(map, shared, c[0], c[1]);
  } else if constexpr (Rank == 3) {
    if (way == Way::load) ptx::load(shared, map, barrier, c[0], c[1], c[2]);
    if (way == Way::store) ptx::store(map, shared, c[0], c[1], c[2]);
    if (way == Way::add) ptx::add(map, shared, c[0], c[1], c[2]);
  } else if constexpr (Rank == 4) {
    if (way == Way::load) ptx::load(shared, map, barrier, c[0], c[1], c[2], c[3]);
    if (way == Way::store) ptx::store(map, shared, c[0], c[1], c[2], c[3]);
    if (way == Way::add) ptx::add(map, shared, c[0], c[1], c[2], c[3]);
  } else {
    if (way == Way::load) ptx::load(shared, map, barrier, c[0], c[1], c[2], c[3], c[4]);
    if (way == Way::store) ptx::store(map, shared, c[0], c[1], c[2], c[3], c[4]);
  }
}

/// Copies a box of `elements` from the array to `flat`, as it lies in shared memory, or the other way.
template <int Rank>
struct MoveBox {
  static constexpr int threads = 64, arch = 90, most = 4096;
  struct Params {
    ptx::TensorMap map;
    int first[5];
    bf16* flat;
    int elements;
    Way way;
  };
  struct Shared {
    alignas(1024) SharedArray<bf16, most> box;
    ptx::Barrier full;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      ptx::init(s.full, 1);
      ptx::fence_barrier_init();
    }
    if (p.way != Way::load)
      for (int i = ctx.thread(); i < p.elements; i += threads) s.box[i] = ctx.load(p.flat + i);
    ptx::fence_async();
    ctx.sync();
    if (ctx.thread() == 0) {
      if (p.way == Way::load) ptx::arrive_expecting(s.full, p.elements * 2);
      start<Rank>(p.way, &s.box[0], p.map, s.full, p.first);
      ptx::commit_stores();
      ptx::wait_stores();
    }
    if (p.way == Way::load) {
      ptx::wait(s.full, 0);
      for (int i = ctx.thread(); i < p.elements; i += threads) ctx.store(p.flat + i, bf16(float(s.box[i])));
    }
  }
};

std::vector<bf16> numbers(std::size_t n, int from = 1) {
  std::vector<bf16> x;
  for (std::size_t i = 0; i < n; ++i) x.emplace_back(static_cast<float>(from + static_cast<int>(i) % 200));
  return x;
}
std::vector<float> floats(const std::vector<bf16>& x) {
  return {x.begin(), x.end()};
}

template <int Rank>
std::vector<float> loaded(Cuda::Queue& queue, const ptx::TensorMap& map, std::array<int, 5> first, int elements) {
  DeviceArray<bf16> flat(static_cast<std::size_t>(elements));
  launch<MoveBox<Rank>>(queue, Grid{1},
                        {map, {first[0], first[1], first[2], first[3], first[4]}, flat.get(), elements, Way::load});
  return floats(flat.download(queue));
}

}  // namespace

TEST_CASE("A load permutes the pieces of a row by the row's number, as its swizzle says") {
  Cuda::Queue queue;
  const std::vector<bf16> x = numbers(64 * 64);
  const DeviceArray<bf16> array(queue, x);
  under_every_schedule([&] {
    for (const int cols : {64, 32, 16}) {
      const Swizzle swizzle = cols == 64 ? Swizzle::b128 : cols == 32 ? Swizzle::b64 : Swizzle::b32;
      const int pieces = cols / 8, rows_a_turn = 64 / cols;  // rows whose number counts as one
      const auto map = tensor_map(array.get(), TensorMapShape<2>{{64, 64}, {64}, {cols, 32}, swizzle});
      const auto got = loaded<2>(queue, map, {cols == 64 ? 0 : 16, 8}, cols * 32);
      std::vector<float> expected(got.size());
      for (int row = 0; row < 32; ++row)
        for (int col = 0; col < cols; ++col) {
          const int piece = (col / 8) ^ (row / rows_a_turn % pieces);
          expected[static_cast<std::size_t>(row * cols + piece * 8 + col % 8)] =
              x[static_cast<std::size_t>((8 + row) * 64 + (cols == 64 ? 0 : 16) + col)];
        }
      CAPTURE(cols);
      CHECK(got == expected);
    }
  });
}

TEST_CASE("Elements outside of the array load as zero, on every side") {
  Cuda::Queue queue;
  const std::vector<bf16> x = numbers(10 * 24);
  const DeviceArray<bf16> array(queue, x);
  const auto map = tensor_map(array.get(), TensorMapShape<2>{{24, 10}, {24}, {16, 8}, Swizzle::none});
  for (const int col : {-40, -16, -8, 0, 8, 16, 24, 104})
    for (const int row : {-8, -7, 0, 3, 9, 10}) {
      std::vector<float> expected(16 * 8, 0.0f);
      for (int r = 0; r < 8; ++r)
        for (int c = 0; c < 16; ++c)
          if (row + r >= 0 && row + r < 10 && col + c >= 0 && col + c < 24)
            expected[static_cast<std::size_t>(r * 16 + c)] = x[static_cast<std::size_t>((row + r) * 24 + col + c)];
      CAPTURE(col, row);
      CHECK(loaded<2>(queue, map, {col, row}, 16 * 8) == expected);
    }
}

TEST_CASE("Boxes of three, four and five dimensions") {
  Cuda::Queue queue;
  const std::vector<bf16> x = numbers(8 * 3 * 4 * 3 * 2);
  const DeviceArray<bf16> array(queue, x);
  const auto at = [&](int c, int j, int k, int l, int m) {
    const bool inside = j < 3 && k < 4 && l < 3 && m < 2;
    return inside ? float(x[static_cast<std::size_t>(c + 8 * (j + 3 * (k + 4 * (l + 3 * m))))]) : 0.0f;
  };
  std::vector<float> three, four, five;
  for (int m = 0; m < 2; ++m)
    for (int l = 0; l < 2; ++l)
      for (int k = 0; k < 2; ++k)
        for (int j = 0; j < 2; ++j)
          for (int c = 0; c < 8; ++c) {
            if (m == 0 && l == 0) three.push_back(at(c, 1 + j, 3 + k, 0, 0));
            if (m == 0) four.push_back(at(c, j, 2 + k, 2 + l, 0));
            five.push_back(at(c, 2 + j, k, 1 + l, 1 + m));
          }
  const auto none = Swizzle::none;
  CHECK(loaded<3>(queue, tensor_map(array.get(), TensorMapShape<3>{{8, 3, 4}, {8, 24}, {8, 2, 2}, none}), {0, 1, 3},
                  32) == three);
  CHECK(loaded<4>(queue, tensor_map(array.get(), TensorMapShape<4>{{8, 3, 4, 3}, {8, 24, 96}, {8, 2, 2, 2}, none}),
                  {0, 0, 2, 2}, 64) == four);
  CHECK(loaded<5>(queue,
                  tensor_map(array.get(), TensorMapShape<5>{{8, 3, 4, 3, 2}, {8, 24, 96, 288}, {8, 2, 2, 2, 2}, none}),
                  {0, 2, 0, 1, 1}, 128) == five);
}

TEST_CASE("One map bounds rows by group: coordinates whose address wraps around 2^64") {
  Cuda::Queue queue;
  constexpr index_t cols = 24, far = index_t{1} << 30;
  const std::vector<bf16> x = numbers(20 * cols);
  const DeviceArray<bf16> array(queue, x);
  DeviceArray<bf16> out(queue, std::vector<bf16>(x.size(), bf16(-1.0f)));
  const auto shape = TensorMapShape<4>{
      {cols, far, 2 * far, 2 * far}, {cols, cols, (index_t{1} << 34) - cols}, {cols, 8, 1, 1}, Swizzle::none};
  const auto map = tensor_map(array.get(), shape), map_out = tensor_map(out.get(), shape);
  // A group of 5 rows from row 7 on; the box begins at its row 3.
  const int size = 5, begin = 7, row = 3;
  const std::array<int, 5> first{0, static_cast<int>(far) - size + row, begin + size, static_cast<int>(far)};
  std::vector<float> expected(8 * cols, 0.0f);
  for (int r = 0; r < size - row; ++r)
    for (int c = 0; c < cols; ++c)
      expected[static_cast<std::size_t>(r * cols + c)] = x[static_cast<std::size_t>((begin + row + r) * cols + c)];
  CHECK(loaded<4>(queue, map, first, 8 * cols) == expected);

  DeviceArray<bf16> flat(queue, numbers(8 * cols, 50));
  launch<MoveBox<4>>(queue, Grid{1},
                     {map_out, {first[0], first[1], first[2], first[3]}, flat.get(), 8 * cols, Way::store});
  std::vector<float> stored(x.size(), -1.0f);
  const std::vector<bf16> written = numbers(8 * cols, 50);
  for (int i = 0; i < (size - row) * cols; ++i)
    stored[static_cast<std::size_t>((begin + row) * cols + i)] = written[static_cast<std::size_t>(i)];
  CHECK(floats(out.download(queue)) == stored);
}

TEST_CASE("Stores drop what is outside, read swizzled boxes, and add") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    const std::vector<bf16> tile = numbers(64 * 8);
    DeviceArray<bf16> flat(queue, tile), out(queue, std::vector<bf16>(70 * 72, bf16(3.0f)));
    const auto map = tensor_map(out.get(), TensorMapShape<2>{{70, 70}, {72}, {64, 8}});
    launch<MoveBox<2>>(queue, Grid{1}, {map, {40, 66}, flat.get(), 64 * 8, Way::store});
    launch<MoveBox<2>>(queue, Grid{1}, {map, {40, 66}, flat.get(), 64 * 8, Way::add});
    launch<MoveBox<2>>(queue, Grid{1}, {map, {0, 0}, flat.get(), 64 * 8, Way::add});
    std::vector<float> expected(70 * 72, 3.0f);
    for (int row = 0; row < 8; ++row)
      for (int col = 0; col < 64; ++col) {
        const float x = tile[static_cast<std::size_t>(row * 64 + ((col / 8) ^ row) * 8 + col % 8)];
        if (row < 4 && col < 30) expected[static_cast<std::size_t>((66 + row) * 72 + 40 + col)] = float(bf16(2 * x));
        expected[static_cast<std::size_t>(row * 72 + col)] = float(bf16(3 + x));
      }
    CHECK(floats(out.download(queue)) == expected);
  });
}

namespace {

/// out[i] += 2 x[i] by runs of bytes.
struct MoveBytes {
  static constexpr int threads = 32, arch = 90;
  struct Params {
    const float* x;
    float* out;
    float* copy;
  };
  struct Shared {
    alignas(128) SharedArray<float, 64> x;
    ptx::Barrier full;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      ptx::init(s.full, 1);
      ptx::fence_barrier_init();
      ptx::arrive_expecting(s.full, 256);
      ptx::load_bytes(&s.x[0], p.x, 256, s.full);
      ptx::wait(s.full, 0);
      ptx::add_bytes(p.out, &s.x[0], 256);
      ptx::add_bytes(p.out, &s.x[0], 256);
      ptx::store_bytes(p.copy, &s.x[0], 256);
      ptx::commit_stores();
      ptx::wait_stores();
    }
  }
};

}  // namespace

TEST_CASE("Runs of bytes are loaded, stored and added") {
  Cuda::Queue queue;
  std::vector<float> x(64), out(64), expected(64);
  for (std::size_t i = 0; i < 64; ++i) {
    x[i] = static_cast<float>(i), out[i] = 1000;
    expected[i] = 1000 + 2 * x[i];
  }
  under_every_schedule([&] {
    const DeviceArray<float> from(queue, x);
    DeviceArray<float> to(queue, out), copy(64);
    launch<MoveBytes>(queue, Grid{1}, {from.get(), to.get(), copy.get()});
    CHECK(to.download(queue) == expected);
    CHECK(copy.download(queue) == x);
  });
}

#if ASHLAR_CUDA_EMULATED
TEST_CASE("Maps that the driver refuses") {
  DeviceArray<bf16> array(4096);
  bf16* const x = array.get();
  const auto refused = [&](const bf16* data, const TensorMapShape<2>& shape, const char* why) {
    std::string message;
    try {
      tensor_map(data, shape);
    } catch (const simt::Fault& fault) {
      message = fault.what();
    }
    CHECK_THAT(message, ContainsText(why));
  };
  refused(x + 1, {{64, 64}, {64}, {64, 8}}, "aligned");
  refused(x, {{64, 64}, {63}, {64, 8}}, "stride");
  refused(x, {{64, 64}, {64}, {64, 257}}, "box");
  refused(x, {{64, 64}, {64}, {128, 8}}, "swizzle");
  refused(x, {{64, 64}, {64}, {32, 8}}, "fewer than the swizzle's");
  refused(x, {{64, 64}, {64}, {4, 8}}, "multiple of 16");
  refused(x, {{64, 0}, {64}, {64, 8}}, "size");
}
#endif
