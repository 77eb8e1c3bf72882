// What the communicator's laws are told with: values that ranks hold, in the memory of any device.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "ashlar/comm/communicator.hpp"

namespace laws {

using namespace ashlar;

/// What a backend may leave out.
struct Promises {
  bool rank_order = true;  // sums are added in rank order, for any number of ranks
  bool nan_survives_max = true;
  index_t large_message = index_t{1} << 21;  // elements: more than a backend can hold between two ranks
};

template <class... Parts>
void expect(bool holds, const Parts&... parts) {
  if (!holds) fail(concat("a law is broken: ", parts...));
}

inline std::size_t at(index_t i) {
  return static_cast<std::size_t>(i);
}

/// What rank r holds at i: small whole numbers, exact in every type and in sums over eight ranks.
template <class T>
T value(int r, index_t i) {
  return static_cast<T>(static_cast<float>((r * 5 + i * 3) % 13 + 1));
}
template <class T>
std::vector<T> values(int r, index_t count) {
  std::vector<T> v(at(count));
  for (index_t i = 0; i < count; ++i) v[at(i)] = value<T>(r, i);
  return v;
}
template <class T>
T reduced(int size, index_t i, Reduce op) {
  float sum = 0, most = 0;
  for (int r = 0; r < size; ++r) {
    sum += static_cast<float>(value<T>(r, i));
    most = std::max(most, static_cast<float>(value<T>(r, i)));
  }
  return static_cast<T>(op == Reduce::sum ? sum : most);
}
template <class T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

/// One rank with a queue of its own.
template <class D>
struct Rank {
  Communicator c;
  typename D::Queue& queue;
};

/// Elements in D's memory, written and read by the host.
template <class T, class D>
class Values {
 public:
  Values(typename D::Queue& queue, const std::vector<T>& v) : Values(queue, std::ssize(v)) {
    D::upload(queue, data_, v.data(), v.size() * sizeof(T));
  }
  Values(typename D::Queue& queue, index_t count) : queue_(&queue), count_(count) {
    data_ = static_cast<T*>(D::allocate(bytes() + 64));
    D::fill_zero(queue, data_, bytes() + 64);
  }
  Values(Values&& other) noexcept
      : queue_(other.queue_), count_(other.count_), data_(std::exchange(other.data_, nullptr)) {}
  ~Values() {
    if (data_) D::deallocate(data_, bytes() + 64);
  }
  TensorView<T, D> view() const { return {data_, {count_}}; }
  TensorView<T, D> range(index_t begin, index_t n) const { return {data_ + begin, {n}}; }
  TensorView<T, D> rows(index_t width) const { return {data_, {count_ / width, width}}; }
  std::vector<T> read() const {
    std::vector<T> v(at(count_));
    D::download(*queue_, v.data(), data_, bytes());
    return v;
  }

 private:
  std::size_t bytes() const { return at(count_) * sizeof(T); }
  typename D::Queue* queue_;
  index_t count_;
  T* data_ = nullptr;
};

/// A view of host memory.
template <class T>
TensorView<T, Cpu> on_host(T* data, index_t count) {
  return {data, {count}};
}

}  // namespace laws
