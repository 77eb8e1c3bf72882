// Packs: consecutive elements that one instruction moves, up to 16 bytes a thread. Kernels that stream rows load and
// store packs, and fall back to single elements at the end of a row and where the addresses are not aligned.
// Read next: ops/swiglu/cuda.cuh (a small kernel on packs).
#pragma once

#include <cstdint>
#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0 {

/// Elements of the largest of the types Ts that 16 bytes hold: how many elements a thread should move at a time.
template <class... Ts>
inline constexpr int pack_size = static_cast<int>(16 / [] {
  std::size_t largest = 1;
  ((largest = sizeof(Ts) > largest ? sizeof(Ts) : largest), ...);
  return largest;
}());

template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T values[N];
};

/// The bytes of a pack of at least 4.
template <class P>
struct alignas(alignof(P)) PackWords {
  static_assert(sizeof(P) % 4 == 0);
  std::uint32_t words[sizeof(P) / 4];
};

template <class T, int N>
ASHLAR_DEVICE PackWords<Pack<T, N>> words_of(const Pack<T, N>& pack) {
  if constexpr (std::is_same_v<T, bf16>) {
    PackWords<Pack<T, N>> out;
    for (int i = 0; i < N / 2; ++i)
      out.words[i] = pack.values[2 * i].bits | std::uint32_t{pack.values[2 * i + 1].bits} << 16;
    return out;
  } else {
    return __builtin_bit_cast(PackWords<Pack<T, N>>, pack);
  }
}

/// Rows of elements in global memory, as a kernel takes them.
template <class T>
struct Rows {
  T* data;
  index_t stride;  // elements from row to row

  ASHLAR_DEVICE T* operator[](index_t i) const { return data + i * stride; }
};

template <class T>
Rows<T> rows_of(TensorView<T, Cuda> view) {
  return {view.data(), view.row_stride()};
}

/// Whether every row of the views begins where a pack of N elements may: then packs move by one instruction.
template <int N, class... Ts>
bool packs_aligned(TensorView<Ts, Cuda>... views) {
  const auto aligned = []<class T>(TensorView<T, Cuda> v) {
    constexpr auto alignment = alignof(Pack<std::remove_const_t<T>, N>);
    return reinterpret_cast<std::uintptr_t>(v.data()) % alignment == 0 &&
           (v.rows() <= 1 || v.row_stride() * index_t{sizeof(T)} % index_t{alignment} == 0);
  };
  return (aligned(views) && ...);
}

/// The elements p[0 .. N), of which `count` exist: the others are zero. `aligned`: p is aligned to the pack.
template <int N, class Context, class T>
ASHLAR_DEVICE Pack<T, N> load_pack(const Context& ctx, const T* p, index_t count, bool aligned) {
  // Both ways end in words, which are unpacked after they meet: unpacking inside of a branch would wait for the load
  // there, and the loads of several packs would no longer overlap.
  PackWords<Pack<T, N>> words;
  if (aligned && count >= N) {
    words = ctx.load(reinterpret_cast<const PackWords<Pack<T, N>>*>(p));
  } else {
    Pack<T, N> pack;
    for (int i = 0; i < N; ++i) pack.values[i] = i < count ? ctx.load(p + i) : T(0.0f);
    words = words_of(pack);
  }
  return __builtin_bit_cast(Pack<T, N>, words);
}

/// p[0 .. N) = pack, as far as the `count` elements that exist.
template <int N, class Context, class T>
ASHLAR_DEVICE void store_pack(const Context& ctx, T* p, const Pack<T, N>& pack, index_t count, bool aligned) {
  if (aligned && count >= N) {
    ctx.store(reinterpret_cast<Pack<T, N>*>(p), pack);
    return;
  }
  for (int i = 0; i < N; ++i)
    if (i < count) ctx.store(p + i, pack.values[i]);
}

}  // namespace ashlar::inline v0
