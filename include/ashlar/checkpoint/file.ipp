// Definitions of file.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/checkpoint/file.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE void make_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = std::filesystem::absolute(folder), above = path.parent_path();
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return;
  if (above != path) make_folder(above);
  std::filesystem::create_directory(path, error);
  if (error) fail(concat(path.string(), ": can't be made: ", error.message()));
  sync_folder(above);
}

ASHLAR_ONCE void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  write_file_atomically(path, [&](File& file) { file.write(content.data(), content.size()); });
}

}  // namespace ashlar::inline v0
