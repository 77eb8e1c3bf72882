// TensorIndex: which part of which tensor stands where, over all files of a checkpoint; and reading any box of any
// tensor from whatever pieces it was saved in. Used by checkpoint/load.hpp and checkpoint/consolidate.hpp.
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
  template <class CompiledOnce = void>
  void add(const std::filesystem::path& path, std::optional<std::uint64_t> bytes = {}) {
    const File file = File::open(path);
    if (bytes && *bytes != file.size())
      fail(concat(path.string(), ": has ", file.size(), " bytes, but had ", *bytes, " when it was saved"));
    const SafetensorsHeader header = read_safetensors_header(file);
    files_.push_back(path);
    for (const SafetensorsEntry& e : header.entries) add_piece(e, header);
  }

  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const StoredTensor& find(const std::string& name) const {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) fail(concat(origin_, ": has no tensor ", name));
    return it->second;
  }

  /// Fills `out`, row-major over the box, with the elements of a box of a tensor as `type`. Reads what the box shares
  /// with pieces, and little else. Throws Error that names the tensor and the box that no file has, or that two have.
  template <class CompiledOnce = void>
  void read(const std::string& name, const TensorBox& target, DType type, std::byte* out) {
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

 private:
  static constexpr std::size_t most_open_files = 64;

  template <class CompiledOnce = void>
  void add_piece(const SafetensorsEntry& e, const SafetensorsHeader& header) {
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

  template <class CompiledOnce = void>
  void copy(const StoredTensor::Piece& piece, const TensorBox& target, const TensorBox& common, DType type,
            std::byte* out) {
    const File& file = open(piece.file);
    const std::size_t from_size = size_of(piece.dtype), to_size = size_of(type);
    const std::uint64_t limit = piece.position + static_cast<std::uint64_t>(piece.box.count()) * from_size;
    const auto most = static_cast<index_t>(FileWindow::capacity / from_size);
    for_each_shared_run(piece.box, target, common, [&](index_t from, index_t to, index_t run) {
      for (index_t done = 0; done < run; done += most) {
        const index_t n = std::min(most, run - done);
        const std::byte* bytes =
            window_.read(file, piece.position + static_cast<std::uint64_t>(from + done) * from_size,
                         static_cast<std::size_t>(n) * from_size, limit);
        cast_elements(piece.dtype, bytes, type, out + static_cast<std::size_t>(to + done) * to_size, n);
      }
    });
  }
  template <class CompiledOnce = void>
  const File& open(std::size_t file) {
    const auto it = open_.find(file);
    if (it != open_.end()) return *it->second;
    if (open_.size() >= most_open_files) {
      window_.forget();
      open_.clear();
    }
    return *open_.emplace(file, std::make_unique<File>(File::open(files_[file]))).first->second;
  }

  std::string origin_;
  std::vector<std::filesystem::path> files_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::size_t, std::unique_ptr<File>> open_;
  FileWindow window_;
};

}  // namespace ashlar::inline v0
