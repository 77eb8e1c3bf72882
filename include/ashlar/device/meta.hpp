// The device without storage: the same code runs on null pointers and its queue counts what the work would cost.
// `plan` runs whole training steps on it. Read next: tensor/memory.hpp.
#pragma once

#include <cstdint>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

/// What one operation costs: floating-point operations, and the fewest bytes that it moves through memory
/// (each input read once, each output written once).
struct Cost {
  double flops = 0;
  double bytes = 0;
};

struct Meta {
  static constexpr const char* name = "meta";
  static constexpr bool has_storage = false;

  /// Adds up what operations report.
  struct Queue {
    Cost total;
    std::int64_t operations = 0;
    index_t meta_float_bytes = 4;
    /// Bytes of an element.
    template <class T>
    index_t width() const {
      return std::is_same_v<std::remove_const_t<T>, MetaFloat> ? meta_float_bytes : index_t{sizeof(T)};
    }
    /// Counts one operation, given the tensors that it reads or writes: twice what it reads and writes. An empty view
    /// stands for a tensor that is left out.
    template <class... T>
    void count(double flops, const TensorView<T, Meta>&... touched) {
      total.flops += flops;
      total.bytes += (0.0 + ... + (touched ? static_cast<double>(touched.count() * width<T>()) : 0.0));
      ++operations;
    }
  };

  /// Nothing is written to it: there are no values to upload.
  struct Staging {
    explicit Staging(std::size_t) {}
    std::byte* fill() { return nullptr; }
  };

  static void* allocate(std::size_t) { return nullptr; }
  static void deallocate(void*, std::size_t) {}
  static void fill_zero(Queue&, void*, std::size_t) {}
  static void copy(Queue&, void*, const void*, std::size_t) {}
  static void upload(Queue&, void*, const void*, std::size_t) {}
  static void upload(Queue&, void*, Staging&, std::size_t, std::size_t) {}
  static void download(Queue&, void*, const void*, std::size_t) {}
  static void synchronize(Queue&) {}
};
static_assert(Device<Meta>);

}  // namespace ashlar::inline v0
