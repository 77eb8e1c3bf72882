// Definitions of tensor_index.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/checkpoint/tensor_index.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE void TensorIndex::add(const std::filesystem::path& path, std::optional<std::uint64_t> bytes) {
  const File file = File::open(path);
  if (bytes && *bytes != file.size())
    fail(concat(path.string(), ": has ", file.size(), " bytes, but had ", *bytes, " when it was saved"));
  const SafetensorsHeader header = read_safetensors_header(file);
  files_.push_back(path);
  for (const SafetensorsEntry& e : header.entries) add_piece(e, header);
}

ASHLAR_ONCE void TensorIndex::read(const std::string& name, const TensorBox& target, DType type, std::byte* out) {
  const StoredTensor& tensor = find(name);
  if (!is_inside(target, tensor.shape))
    fail(concat(origin_, ": tensor ", name, " is ", tensor.shape, ", so it has no ", target));
  std::vector<TensorBox> missing{target}, rest;
  index_t shared = 0;
  for (const StoredTensor::Piece& piece : tensor.pieces) {
    const TensorBox common = intersect(piece.box, target);
    if (common.count() == 0) continue;
    if (!can_cast(piece.dtype, type))
      fail(concat(files_[piece.file].string(), ": tensor ", name, " is of type ", to_string(piece.dtype), ", but ",
                  to_string(type), " is needed"));
    if ((shared += common.count()) > target.count())
      fail(concat(origin_, ": tensor ", name, ": the elements ", common, " are stored twice, one time in ",
                  files_[piece.file].filename().string()));
    rest.clear();
    for (const TensorBox& box : missing) {
      const TensorBox covered = intersect(box, common);
      if (covered.count() == 0)
        rest.push_back(box);
      else
        subtract(box, covered, rest);
    }
    missing.swap(rest);
    copy(piece, target, common, type, out);
  }
  for (const TensorBox& box : missing)
    if (box.count() > 0) fail(concat(origin_, ": tensor ", name, ": no file has its elements ", box));
}

ASHLAR_ONCE void TensorIndex::add_piece(const SafetensorsEntry& e, const SafetensorsHeader& header) {
  const std::string path = files_.back().string();
  const std::size_t mark = e.name.rfind('@');
  const std::string name = e.name.substr(0, mark);
  Shape shape = e.shape;
  TensorBox box = TensorBox::whole(shape);
  if (mark != e.name.npos) {
    const auto offset = parse_shape(std::string_view(e.name).substr(mark + 1));
    const auto text = header.metadata.find(shape_key(name));
    const auto whole = text == header.metadata.end() ? std::nullopt : parse_shape(text->second);
    if (!offset || !whole)
      fail(concat(path, ": tensor ", e.name, ": ",
                  offset ? "its whole shape is not in the metadata" : "where it begins is not in its name"));
    shape = *whole;
    box = {*offset, e.shape};
    if (!is_inside(box, shape))
      fail(concat(path, ": tensor ", e.name, ": a piece of ", e.shape, " does not fit there into ", shape));
  }
  auto [it, added] = tensors_.try_emplace(name);
  if (added) it->second.shape = shape;
  if (it->second.shape != shape)
    fail(concat(path, ": tensor ", name, ": is ", shape, " here, but ", it->second.shape, " in another file"));
  it->second.pieces.push_back({files_.size() - 1, e.dtype, box, header.data_begin + e.begin});
}

ASHLAR_ONCE void TensorIndex::copy(const StoredTensor::Piece& piece, const TensorBox& target, const TensorBox& common,
                                   DType type, std::byte* out) {
  const File& file = open(piece.file);
  const std::size_t from_size = size_of(piece.dtype), to_size = size_of(type);
  const std::uint64_t limit = piece.position + static_cast<std::uint64_t>(piece.box.count()) * from_size;
  const auto most = static_cast<index_t>(FileWindow::capacity / from_size);
  for_each_shared_run(piece.box, target, common, [&](index_t from, index_t to, index_t run) {
    for (index_t done = 0; done < run; done += most) {
      const index_t n = std::min(most, run - done);
      const std::byte* bytes = window_.read(file, piece.position + static_cast<std::uint64_t>(from + done) * from_size,
                                            static_cast<std::size_t>(n) * from_size, limit);
      cast_elements(piece.dtype, bytes, type, out + static_cast<std::size_t>(to + done) * to_size, n);
    }
  });
}

ASHLAR_ONCE const File& TensorIndex::open(std::size_t file) {
  const auto it = open_.find(file);
  if (it != open_.end()) return *it->second;
  if (open_.size() >= most_open_files) {
    window_.forget();
    open_.clear();
  }
  return *open_.emplace(file, std::make_unique<File>(File::open(files_[file]))).first->second;
}

}  // namespace ashlar::inline v0
