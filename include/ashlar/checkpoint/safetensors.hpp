// The header of a safetensors file: 8 bytes of length (little endian), JSON text, then raw row-major data. Reading is
// strict: a file may come from anywhere, and nothing in it is believed before it is checked. Read next:
// checkpoint/safetensors.ipp, the reader; checkpoint/tensor_index.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ashlar/checkpoint/file.hpp"
#include "ashlar/core/dtype.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// One tensor of a file. Bytes begin .. end count from the start of the data.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::uint64_t begin = 0, end = 0;
};

/// What a file says of itself.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;        // in the order of their data, which they fill without gap or overlap
  std::map<std::string, std::string> metadata;  // "__metadata__"
  std::uint64_t data_begin = 0;                 // where the data stands in the file
};

/// No header is longer: the format's reference reader refuses more, too.
inline constexpr std::uint64_t largest_safetensors_header = 100'000'000;

/// The header whose JSON is `text`, for a file `path` with `data_bytes` bytes of data. Throws Error that names the file
/// and the tensor: for what is not such JSON, unknown types, sizes that do not fit the shape, names that stand twice,
/// and data that overlap, leave a gap, or do not end with the file.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes, const std::string& path);

/// The header of an open file.
SafetensorsHeader read_safetensors_header(const File& file);

/// The first bytes of a file: length and JSON, padded so that the data begin at a multiple of 8. Names are UTF-8.
std::string format_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                      const std::map<std::string, std::string>& metadata);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/safetensors.ipp"
#endif
