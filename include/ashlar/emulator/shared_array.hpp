// Shared memory as kernels see it: arrays whose elements check every access. Read next: emulator/simt.hpp.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "ashlar/emulator/block.hpp"
#include "ashlar/emulator/poison.hpp"

namespace ashlar::inline v0 {

namespace simt::detail {

/// An index and the source line that used it.
struct Index {
  Index(index_t i, Site site = Site::current()) : value(i), where(site) {}
  index_t value;
  Site where;
};

/// Checks an access of the running thread to shared memory; faults if it is wrong.
inline void check_shared(Block& block, const void* p, std::size_t bytes, std::size_t alignment, Access access,
                         Site where) {
  const auto why = block.shared_memory().access_fault(p, bytes, alignment, access, block.current(), where);
  if (!why.empty()) block.fault(why, where);
}

/// One element of a SharedArray. It stands for the element only inside the expression that names it: take its value
/// into a variable of type T (`auto x = array[i]` compiles, but nothing can be done with x).
template <class T>
class SharedElement {
 public:
  SharedElement(T* p, Site where) : p_(p), where_(where) {}
  SharedElement(const SharedElement&) = delete;

  operator T() const&& { return get(); }  // NOLINT: implicit, as a reference would be
  /// For element types like bf16, which arithmetic reads as float.
  operator float() const&&  // NOLINT
      requires(std::is_class_v<T>&& std::convertible_to<T, float>) {
    return static_cast<float>(get());
  }
  T operator=(T value) const&& { return set(value); }
  T operator=(SharedElement&& other) const&& { return set(other.get()); }
  // Compound assignment is for numbers, as under nvcc: bf16 has none.
  T operator+=(T value) const&& requires std::is_arithmetic_v<T> { return set(static_cast<T>(get() + value)); }
  T operator-=(T value) const&& requires std::is_arithmetic_v<T> { return set(static_cast<T>(get() - value)); }
  T operator*=(T value) const&& requires std::is_arithmetic_v<T> { return set(static_cast<T>(get() * value)); }
  T operator/=(T value) const&& requires std::is_arithmetic_v<T> { return set(static_cast<T>(get() / value)); }
  T operator|=(T value) const&& requires std::is_integral_v<T> { return set(static_cast<T>(get() | value)); }
  T operator&=(T value) const&& requires std::is_integral_v<T> { return set(static_cast<T>(get() & value)); }
  T operator++() const&& requires std::is_arithmetic_v<T> { return set(static_cast<T>(get() + 1)); }
  T operator--() const&& requires std::is_arithmetic_v<T> { return set(static_cast<T>(get() - 1)); }
  T operator++(int) const&& requires std::is_arithmetic_v<T> {
    const T old = get();
    set(static_cast<T>(old + 1));
    return old;
  }
  T* operator&() const&& { return p_; }  // for Simt::load, store and the atomics, which check again

 private:
  T get() const {
    check(Access::read);
    return *p_;
  }
  T set(T value) const {
    check(Access::write);
    *p_ = arrived(value, where_);
    return value;
  }
  void check(Access access) const {
    if (!running_block) return;
    running_block->preempt(p_, 8, where_);
    check_shared(*running_block, p_, sizeof(T), alignof(T), access, where_);
  }

  T* p_;
  Site where_;
};

}  // namespace simt::detail

/// N elements of shared memory. Not initialised: reading one before a thread of the block wrote it is a fault.
template <class T, int N>
struct SharedArray {
  static_assert(std::is_trivially_copyable_v<T> && N > 0);
  T elements[N];

  simt::detail::SharedElement<T> operator[](simt::detail::Index i) {
    if (i.value < 0 || i.value >= N) {
      const auto what = concat("index ", i.value, " of a SharedArray of ", N, " elements");
      if (simt::detail::running_block) simt::detail::running_block->fault(what, i.where);
      throw simt::Fault(what);
    }
    return {elements + i.value, i.where};
  }
};

}  // namespace ashlar::inline v0
