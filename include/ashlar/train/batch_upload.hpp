// BatchUpload: a step's batch on its way to the device, without waiting for it. Read next: tensor/upload_ring.hpp.
#pragma once

#include <optional>
#include <vector>

#include "ashlar/models/model.hpp"
#include "ashlar/tensor/upload_ring.hpp"

namespace ashlar::inline v0 {

/// Owns the device's arrays of the batch. An array that a host batch leaves empty is empty for the device too, and
/// takes memory from the first batch on that has it.
template <Model M>
class BatchUpload {
 public:
  using D = typename M::Environment::Device;

  /// `shape`: of the batches to come.
  BatchUpload(Memory<D>& memory, OwnedBatch<M> shape) : memory_(memory), owned_(std::move(shape)) {
    OwnedBatch<M>::for_each_array(
        owned_, [&](index_t per_row, auto& array) { make_room(array, per_row); }, owned_);
    grow();
  }

  /// `views` become those of the batch on the device. The batch may be reused on return.
  void upload(typename D::Queue& queue, const HostBatchOf<M>& batch, ViewBatch<M>& views) {
    std::vector<typename UploadRing<D>::Piece> pieces;
    bool larger = false;
    OwnedBatch<M>::for_each_array(
        owned_,
        [&](index_t per_row, auto& owned, const auto& host, auto& view) {
          using Array = std::remove_cvref_t<decltype(owned)>;
          if constexpr (D::has_storage) {
            if (host.empty()) return;
            if (!owned) {
              owned = Array(memory_, {owned_.rows * per_row});
              larger = true;
            }
            check(static_cast<index_t>(host.size()) == owned.count(), "an array of the batch has another length");
            pieces.push_back({owned.data(), host.data(), owned.bytes()});
          }
          view = owned.view();
        },
        owned_, batch, views);
    if (larger) grow();
    ring_->upload(queue, pieces);
  }

 private:
  // Arrays that every batch has are there from the start, so that a plan counts them.
  template <class Array>
  void make_room(Array& array, index_t per_row) {
    if (array_number_++ < M::template Batch<HostArray>::required) array = Array(memory_, {owned_.rows * per_row});
  }
  void grow() {
    std::size_t bytes = 0;
    OwnedBatch<M>::for_each_array(
        owned_, [&](index_t, auto& array) { bytes += array.bytes(); }, owned_);
    ring_.emplace(bytes);
  }

  Memory<D>& memory_;
  OwnedBatch<M> owned_;
  std::optional<UploadRing<D>> ring_;
  int array_number_ = 0;
};

}  // namespace ashlar::inline v0
