// UploadRing: brings a step's inputs to the device without waiting for it. Read next: device/device.hpp (Staging).
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

/// Host buffers that uploads go through in turn. A call waits only while the device has not read what the call `depth`
/// calls ago gave it: so far the host may be ahead.
template <Device D>
class UploadRing {
 public:
  struct Piece {
    void* target;
    const void* source;
    std::size_t bytes;
  };

  /// `bytes`: room for all pieces of one call.
  explicit UploadRing(std::size_t bytes, int depth = 2) : bytes_(bytes) {
    for (int i = 0; i < depth; ++i) ring_.push_back(std::make_unique<typename D::Staging>(bytes));
  }

  /// The sources may be reused on return. Throws Error for more than there is room for.
  void upload(typename D::Queue& queue, const std::vector<Piece>& pieces) {
    typename D::Staging& staging = *ring_[next_];
    next_ = (next_ + 1) % ring_.size();
    std::byte* const host = staging.fill();
    std::size_t offset = 0;
    for (const Piece& piece : pieces) {
      check(piece.bytes <= bytes_ - offset, "an upload is larger than its staging buffer");
      if (host && piece.bytes) std::memcpy(host + offset, piece.source, piece.bytes);
      D::upload(queue, piece.target, staging, offset, piece.bytes);
      offset += piece.bytes;
    }
  }

 private:
  std::size_t bytes_;
  std::vector<std::unique_ptr<typename D::Staging>> ring_;
  std::size_t next_ = 0;
};

}  // namespace ashlar::inline v0
