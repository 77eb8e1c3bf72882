// What device/cuda/ptx/matrix.cuh has: matrices of a warp, in the layouts of the hardware, and cp.async. Read next:
// emulator/engines.hpp.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "ashlar/core/dtype.hpp"
#include "ashlar/emulator/engines.hpp"
#include "ashlar/emulator/poison.hpp"
#include "ashlar/emulator/warp.hpp"

namespace ashlar::inline v0 {

namespace simt::detail {

/// Of ldmatrix and stmatrix: what a lane brings.
struct MatrixOffer {
  std::uint32_t address;
  std::array<std::uint32_t, 4> r;
};

template <int Count>
class WarpMatrices {
 public:
  WarpMatrices(Block& block, Collective kind, bool transposed, Site where)
      : block_(block), kind_(kind), transposed_(transposed), where_(where) {}

  void run(MatrixOffer& mine) const {
    Offer offer;
    offer.word = reinterpret_cast<std::uintptr_t>(&mine);
    block_.warp_of(block_.current()).meet_all(block_, kind_, offer, where_, [&](const auto& offers) {
      for (int matrix = 0; matrix < Count; ++matrix)
        for (int row = 0; row < 8; ++row) move(offers, matrix, row);
    });
  }

 private:
  template <class Offers>
  void move(const Offers& offers, int matrix, int row) const {
    const auto of_lane = [&](int lane) -> MatrixOffer& {
      return *reinterpret_cast<MatrixOffer*>(offers[static_cast<std::size_t>(lane)]->word);
    };
    const int source = matrix * 8 + row, thread = block_.current() / 32 * 32 + source;
    SharedMemory& shared = block_.shared_memory();
    const std::uint32_t address = of_lane(source).address;
    const std::size_t at = address - shared_window;
    if (address < shared_window || at + 16 > block_.shared_stride() || at % 16 != 0)
      block_.fault(concat(kind_, ": the address that lane ", source, " brings is outside of shared memory, or not ",
                          "aligned to 16"),
                   where_);
    std::byte* const p = shared.base() + at + static_cast<std::size_t>(block_.rank_of(thread)) * block_.shared_stride();
    const bool loads = kind_ == Collective::ldmatrix;
    if (const auto why = shared.access_fault(p, 16, 16, loads ? Access::read : Access::write, thread, where_);
        !why.empty())
      block_.fault(concat(kind_, ": ", why), where_);
    for (int col = 0; col < 8; ++col) {
      // Element (row, col) is in lane 4 row + col / 2, the half col % 2; transposed, element (col, row) is.
      const int i = transposed_ ? col : row, j = transposed_ ? row : col;
      std::uint32_t& r = of_lane(4 * i + j / 2).r[static_cast<std::size_t>(matrix)];
      auto* const half = reinterpret_cast<std::byte*>(&r) + j % 2 * 2;
      if (loads)
        std::memcpy(half, p + col * 2, 2);
      else
        std::memcpy(p + col * 2, half, 2);
    }
  }

  Block& block_;
  Collective kind_;
  bool transposed_;
  Site where_;
};

/// Of mma: what a lane brings.
struct MmaOffer {
  float* d;
  const std::uint32_t* a;
  std::array<std::uint32_t, 2> b;
};

inline float half_of(std::uint32_t pair, int half) {
  return std::bit_cast<float>(half == 0 ? pair << 16 : pair & 0xffff0000u);
}

template <class Offers>
void multiply(const Offers& offers) {
  const auto of_lane = [&](int lane) -> MmaOffer& {
    return *reinterpret_cast<MmaOffer*>(offers[static_cast<std::size_t>(lane)]->word);
  };
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2), col = 2 * (lane % 4) + i % 2;
      float sum = of_lane(lane).d[i];
      for (int k = 0; k < 16; ++k) {
        const std::uint32_t a = of_lane(row % 8 * 4 + k % 8 / 2).a[row / 8 + 2 * (k / 8)];
        const std::uint32_t b = of_lane(col * 4 + k % 8 / 2).b[static_cast<std::size_t>(k / 8)];
        sum += half_of(a, k % 2) * half_of(b, k % 2);
      }
      of_lane(lane).d[i] = sum;
    }
}

}  // namespace simt::detail

namespace ptx {

inline std::uint32_t pack(float first, float second, simt::Site where = simt::Site::current()) {
  return std::uint32_t{bf16(simt::detail::arrived(first, where)).bits} |
         std::uint32_t{bf16(simt::detail::arrived(second, where)).bits} << 16;
}

namespace detail {
template <int Count>
void ldmatrix(std::uint32_t (&r)[Count], std::uint32_t from, bool transposed, simt::Site where) {
  using namespace simt::detail;
  MatrixOffer mine{from, {}};
  WarpMatrices<Count>(*running_block, Collective::ldmatrix, transposed, where).run(mine);
  for (int i = 0; i < Count; ++i) r[i] = mine.r[static_cast<std::size_t>(i)];
}
}  // namespace detail

template <int Count>
void ldmatrix(std::uint32_t (&r)[Count], std::uint32_t from, simt::Site where = simt::Site::current()) {
  static_assert(Count == 2 || Count == 4);
  detail::ldmatrix(r, from, false, where);
}
template <int Count>
void ldmatrix_transposed(std::uint32_t (&r)[Count], std::uint32_t from, simt::Site where = simt::Site::current()) {
  static_assert(Count == 2 || Count == 4);
  detail::ldmatrix(r, from, true, where);
}
inline void stmatrix(std::uint32_t to, std::uint32_t r0, std::uint32_t r1, std::uint32_t r2, std::uint32_t r3,
                     simt::Site where = simt::Site::current()) {
  using namespace simt::detail;
  MatrixOffer mine{to, {r0, r1, r2, r3}};
  WarpMatrices<4>(*running_block, Collective::stmatrix, false, where).run(mine);
}
inline void stmatrix_transposed(std::uint32_t to, std::uint32_t r0, std::uint32_t r1, std::uint32_t r2,
                                std::uint32_t r3, simt::Site where = simt::Site::current()) {
  using namespace simt::detail;
  MatrixOffer mine{to, {r0, r1, r2, r3}};
  WarpMatrices<4>(*running_block, Collective::stmatrix, true, where).run(mine);
}
inline void mma(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                simt::Site where = simt::Site::current()) {
  using namespace simt::detail;
  MmaOffer mine{d, a, {b0, b1}};
  Offer offer;
  offer.word = reinterpret_cast<std::uintptr_t>(&mine);
  auto& block = *running_block;
  block.warp_of(block.current()).meet_all(block, Collective::mma, offer, where, [](const auto& all) { multiply(all); });
}

inline void copy16(void* to, const void* from, int bytes = 16, simt::Site where = simt::Site::current()) {
  auto& block = *simt::detail::running_block;
  block.engines().thread_copies.copy16(block, to, from, bytes, where);
}
inline void commit_copies() {
  auto& block = *simt::detail::running_block;
  block.engines().thread_copies.commit(block);
}
template <int Pending>
void wait_copies() {
  auto& block = *simt::detail::running_block;
  block.engines().thread_copies.wait(block, Pending);
}
/// The copies come when the schedule says so.
inline void arrive_after_copies(Barrier& barrier, simt::Site where = simt::Site::current()) {
  auto& block = *simt::detail::running_block;
  auto& engines = block.engines();
  const std::size_t at = engines.mbarriers.place(block, &barrier, where);
  engines.mbarriers.find(block, at, where);
  engines.thread_copies.arrive_after(block, engines.mbarriers, at, where);
}

}  // namespace ptx
}  // namespace ashlar::inline v0
