// Definitions of text.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <fstream>

#include "ashlar/data/text.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::vector<std::filesystem::path> text_files(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty())
    throw ConfigError("--training.dataset text needs --training.dataset_path: a text file, or a folder of them");
  std::error_code error;
  std::vector<fs::path> files;
  if (fs::is_directory(path, error)) {
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
      if (std::error_code gone; entry->is_regular_file(gone) && !entry->is_symlink(gone))
        files.push_back(entry->path());
    if (error)
      throw ConfigError(concat("--training.dataset_path ", path, ": can't read the folder: ", error.message()));
    std::sort(files.begin(), files.end());
  } else if (fs::is_regular_file(path, error)) {
    files.push_back(path);
  } else {
    throw ConfigError(concat("--training.dataset_path ", path, " is not a file or folder that can be read",
                             error ? ": " + error.message() : ""));
  }
  return files;
}

ASHLAR_ONCE void for_each_document(const std::string& path, const std::function<void(const std::string&)>& document) {
  const std::vector<std::filesystem::path> files = text_files(path);
  bool any = false;
  for (const std::filesystem::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!in && bytes.empty()) throw ConfigError(concat("can't read ", file.string()));
    if (bytes.empty()) continue;
    if (files.size() > 1 && bytes.find('\0') != std::string::npos) continue;  // an index or an image, not text
    document(bytes);
    any = true;
  }
  if (!any) throw ConfigError(concat("--training.dataset_path ", path, " has no text in it"));
}

ASHLAR_ONCE Text Text::read(const std::string& path) {
  Text text;
  for_each_document(path, [&](const std::string& bytes) {
    for (char c : bytes) text.tokens.push_back(static_cast<unsigned char>(c));
    text.tokens.push_back(end_token);
  });
  return text;
}

}  // namespace ashlar::inline v0
