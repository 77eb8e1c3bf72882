// Definitions of consolidate.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/checkpoint/consolidate.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE Consolidated consolidate(OpenCheckpoint& from, const std::filesystem::path& target, DType type,
                                     index_t at_once, TensorIndex* base, double alpha) {
  MergedWeights weights(from.index, base, alpha);
  std::vector<SafetensorsEntry> entries;
  std::uint64_t at = 0;
  for (const auto& [name, index] : weights.tensors()) {
    const StoredTensor& tensor = index->find(name);
    // Before anything is made as large as a shape says: files must hold as much.
    index_t held = 0;
    for (const StoredTensor::Piece& piece : tensor.pieces) held += piece.box.count();
    if (held != tensor.shape.count())
      fail(concat(from.path.string(), ": tensor ", name, " is ", tensor.shape, ", but the files have ", held,
                  " elements of it"));
    const DType stored = tensor.pieces.front().dtype;
    const DType written = can_cast(stored, type) ? type : stored;
    const std::uint64_t end = at + static_cast<std::uint64_t>(tensor.shape.count()) * size_of(written);
    entries.push_back({name, written, tensor.shape, at, end});
    at = end;
  }
  if (entries.empty()) fail(concat(from.path.string(), ": has no weights"));
  // Readers of Hugging Face models ask for this entry.
  const std::string header = format_safetensors_header(entries, {{"format", "pt"}});
  std::uint64_t bytes = 0;
  write_file_atomically(target, [&](File& file) {
    file.write(header.data(), header.size());
    std::vector<std::byte> host;
    for (const SafetensorsEntry& e : entries) {
      TensorBox box = TensorBox::whole(e.shape);
      const index_t outer = e.shape.rank() > 0 ? e.shape[0] : 1;
      const index_t slice = outer > 0 ? e.shape.count() / outer : 0;
      const index_t slices = std::max(at_once / std::max(slice, index_t{1}), index_t{1});
      for (index_t begin = 0; begin < outer; begin += slices) {
        if (e.shape.rank() > 0) {
          box.offset[0] = begin;
          box.extent[0] = std::min(slices, outer - begin);
        }
        host.resize(static_cast<std::size_t>(box.count()) * size_of(e.dtype));
        weights.read(e.name, box, e.dtype, host.data());
        file.write(host.data(), host.size());
      }
    }
    bytes = file.size();
  });
  return {target, entries.size(), bytes};
}

}  // namespace ashlar::inline v0
