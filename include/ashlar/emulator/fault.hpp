// What the emulator throws, and the source lines it names.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0::simt {

/// A fault in a kernel or in the use of device memory. what() names the kernel, block, thread and source line.
class Fault : public Error {
 public:
  using Error::Error;
};

/// A line of a kernel's source. (std::source_location without its need of a newer clang.)
struct Site {
  const char* file = "";
  int line = 0;

  static constexpr Site current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  friend bool operator==(const Site& a, const Site& b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
  }
};

/// "ops/rms_norm/cuda.cuh:41": the last two parts of the path, and the line.
inline std::string to_string(const Site& site) {
  std::string_view file = site.file;
  const auto last = file.rfind('/');
  const auto cut = last == std::string_view::npos || last == 0 ? last : file.rfind('/', last - 1);
  if (cut != std::string_view::npos) file.remove_prefix(cut + 1);
  return concat(file, ":", site.line);
}

}  // namespace ashlar::inline v0::simt
