// TensorIndex: which part of which tensor stands where, over all files of a checkpoint; and reading any box of any
// tensor from whatever pieces it was saved in.
#pragma once

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ashlar/checkpoint/element_cast.hpp"
#include "ashlar/checkpoint/file.hpp"
#include "ashlar/checkpoint/safetensors.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/tensor/tensor_box.hpp"

namespace ashlar::inline v0 {

/// A piece of a tensor is called "name@o0,o1,...", after where it begins; a whole tensor has its plain name. The shape
/// of a tensor in pieces is metadata: key "shape:name", value "4,8".
inline std::string piece_name(const std::string& name, const Shape& offset) {
  std::string out = name + "@";
  for (int i = 0; i < offset.rank(); ++i) out += concat(i ? "," : "", offset[i]);
  return out;
}
inline std::string shape_key(const std::string& name) {
  return "shape:" + name;
}
inline std::string shape_text(const Shape& shape) {
  std::string out;
  for (int i = 0; i < shape.rank(); ++i) out += concat(i ? "," : "", shape[i]);
  return out;
}

/// Reads "4,8"; nothing where the text is anything but one to five numbers that are not negative, with a product below
/// 2^62.
inline std::optional<Shape> parse_shape(std::string_view text) {
  Shape shape;
  index_t count = 1;
  const char *at = text.data(), *end = at + text.size();
  while (shape.rank() < Shape::max_rank) {
    index_t value = -1;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || value < 0) return std::nullopt;
    if (__builtin_mul_overflow(count, std::max(value, index_t{1}), &count) || count >> 62) return std::nullopt;
    shape.push_back(value);
    if (next == end) return shape;
    if (*next != ',') return std::nullopt;
    at = next + 1;
  }
  return std::nullopt;
}

/// One tensor: its shape, and the boxes that files hold.
struct StoredTensor {
  struct Piece {
    std::size_t file = 0;
    DType dtype = DType::f32;
    TensorBox box;
    std::uint64_t position = 0;  // of the first byte, in the file
  };
  Shape shape;
  std::vector<Piece> pieces;
};

class TensorIndex {
 public:
  /// `origin`: the checkpoint's name in errors.
  explicit TensorIndex(std::string origin) : origin_(std::move(origin)) {}

  /// Reads a file's header, not its data. `bytes`: how long the file must be, where that is known. Throws Error that
  /// names the file, and the tensor at fault.
  void add(const std::filesystem::path& path, std::optional<std::uint64_t> bytes = {});

  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const StoredTensor& find(const std::string& name) const {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) fail(concat(origin_, ": has no tensor ", name));
    return it->second;
  }

  /// Fills `out`, row-major over the box, with the elements of a box of a tensor as `type`. Reads what the box shares
  /// with pieces, and little else. Throws Error that names the tensor and the box that no file has, or that two have.
  void read(const std::string& name, const TensorBox& target, DType type, std::byte* out);

 private:
  static constexpr std::size_t most_open_files = 64;

  void add_piece(const SafetensorsEntry& e, const SafetensorsHeader& header);

  void copy(const StoredTensor::Piece& piece, const TensorBox& target, const TensorBox& common, DType type,
            std::byte* out);
  const File& open(std::size_t file);

  std::string origin_;
  std::vector<std::filesystem::path> files_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::size_t, std::unique_ptr<File>> open_;
  FileWindow window_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/tensor_index.ipp"
#endif
