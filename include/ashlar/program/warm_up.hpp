// What happens once in a process, at the first matrix product, happens while the model is built.
#pragma once

#include <thread>
#include <type_traits>

#include "ashlar/ops/matmul/matmul.hpp"

namespace ashlar::inline v0 {

/// On Cpu, a product in T on a thread of its own, joined at the end of scope: oneDNN writes its kernels at the first
/// one, which takes 20 to 30 ms of one core. Nothing on other devices.
template <class T, Device D>
class WarmUp {
 public:
  WarmUp() {
    if constexpr (std::is_same_v<D, Cpu>) thread_ = std::thread(multiply);
  }
  ~WarmUp() {
    if (thread_.joinable()) thread_.join();
  }
  WarmUp(const WarmUp&) = delete;
  WarmUp& operator=(const WarmUp&) = delete;

 private:
  // Large enough not to be done by other means, small enough for one thread.
  static void multiply() {
    constexpr index_t n = 16;
    const T a[n * n] = {};
    T c[n * n];
    Cpu::Queue queue;
    ops::matmul<T, T>(queue, TensorView<const T, Cpu>(a, {n, n}), ops::Transpose::no,
                      TensorView<const T, Cpu>(a, {n, n}), ops::Transpose::no, TensorView<T, Cpu>(c, {n, n}));
  }

  std::thread thread_;
};

}  // namespace ashlar::inline v0
