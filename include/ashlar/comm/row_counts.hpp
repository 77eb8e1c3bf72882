// RowCounts: how many rows each rank sends and receives in an all_to_all.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

/// Rows by rank, packed in rank order in the buffers. On the host, or on the device where a kernel has counted them: a
/// backend that needs them on the host (all of today's do) then waits for the queue.
template <Device D>
class RowCounts {
 public:
  /// Both of one entry a rank; they outlive the call.
  RowCounts(std::span<const index_t> sent, std::span<const index_t> received) : sent_(sent), received_(received) {}
  RowCounts(TensorView<const std::int32_t, D> sent, TensorView<const std::int32_t, D> received)
      : device_sent_(sent), device_received_(received) {}

  bool on_device() const { return static_cast<bool>(device_sent_); }
  std::vector<index_t> sent(typename D::Queue& queue) const { return on_host(queue, sent_, device_sent_); }
  std::vector<index_t> received(typename D::Queue& queue) const { return on_host(queue, received_, device_received_); }

 private:
  static std::vector<index_t> on_host(typename D::Queue& queue, std::span<const index_t> host,
                                      TensorView<const std::int32_t, D> device) {
    if (!device) return {host.begin(), host.end()};
    if (!D::has_storage) fail("a plan has no counts on the device: give those that it assumes, on the host");
    std::vector<std::int32_t> counts(static_cast<std::size_t>(device.count()));
    D::download(queue, counts.data(), device.data(), counts.size() * sizeof(std::int32_t));
    return {counts.begin(), counts.end()};
  }

  std::span<const index_t> sent_, received_;
  TensorView<const std::int32_t, D> device_sent_, device_received_;
};

}  // namespace ashlar::inline v0
