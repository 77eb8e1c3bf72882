// File: a POSIX file that reads at positions, writes in full and reaches the disk before it is closed; every failure is
// an Error that names the file. Read next: checkpoint/safetensors.hpp.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// An open file; move-only. A File that is destroyed before finish() is closed, and what it wrote may be lost.
class File {
 public:
  /// For reading. Throws Error when there is no such file, or when it is no regular file.
  static File open(const std::filesystem::path& path) {
    File file(path, ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));  // a pipe must not block
    struct stat status {};
    if (::fstat(file.descriptor_, &status) != 0) file.fail_with("can't be examined", errno);
    if (!S_ISREG(status.st_mode)) fail(concat(path.string(), ": is no regular file"));
    file.size_ = static_cast<std::uint64_t>(status.st_size);
    return file;
  }
  /// For writing from the beginning; an older file of that name is emptied.
  static File create(const std::filesystem::path& path) {
    return File(path, ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  }
  File(File&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  const std::filesystem::path& path() const { return path_; }
  /// Bytes: as opened, or written so far.
  std::uint64_t size() const { return size_; }

  /// Reads exactly `bytes` bytes from `position` on. Throws Error where the file ends earlier.
  void read(std::uint64_t position, void* out, std::size_t bytes) const {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t n = ::pread(descriptor_, static_cast<char*>(out) + done, std::min(bytes - done, largest_call),
                                static_cast<off_t>(position + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_with("can't be read", errno);
      if (n == 0) fail(concat(path_.string(), ": ends at byte ", position + done, ", ", bytes - done, " too early"));
      done += static_cast<std::size_t>(n);
    }
  }
  /// Appends `bytes` bytes, all of them.
  void write(const void* data, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t n =
          ::write(descriptor_, static_cast<const char*>(data) + done, std::min(bytes - done, largest_call));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_with("can't be written", errno);
      done += static_cast<std::size_t>(n);
      size_ += static_cast<std::uint64_t>(n);
    }
  }
  /// Writes over bytes that were written before.
  void rewrite(std::uint64_t position, const void* data, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t n = ::pwrite(descriptor_, static_cast<const char*>(data) + done, bytes - done,
                                 static_cast<off_t>(position + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_with("can't be written", errno);
      done += static_cast<std::size_t>(n);
    }
  }
  /// Returns when what was written is on the disk; the file is closed then. Some file systems report a full disk only
  /// here.
  void finish() {
    if (::fsync(descriptor_) != 0) fail_with("can't be brought to the disk", errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) fail_with("can't be closed", errno);
  }

 private:
  static constexpr std::size_t largest_call = std::size_t{1} << 30;  // Linux transfers at most 2 GiB a call

  File(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {
    if (descriptor_ < 0) fail_with("can't be opened", errno);
  }
  [[noreturn]] void fail_with(std::string_view what, int error) const {
    fail(concat(path_.string(), ": ", what, ": ", std::generic_category().message(error)));
  }

  std::filesystem::path path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

/// Returns when the folder's list of names is on the disk: a new or renamed file is then found after a power cut.
inline void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool opened = descriptor >= 0, synced = opened && ::fsync(descriptor) == 0;
  const int error = errno;
  if (opened) ::close(descriptor);
  // EINVAL: a file system whose folders need no such call.
  if (!synced && error != EINVAL)
    fail(concat(folder.string(), ": can't be brought to the disk: ", std::generic_category().message(error)));
}

/// Makes a folder, and those above it that are missing; returns when their names are on the disk.
void make_folder(const std::filesystem::path& folder);

/// Writes a file so that it is either there in full or not at all: write(File&) under another name, which is then
/// changed; what a failure leaves is removed.
template <std::invocable<File&> Write>
void write_file_atomically(const std::filesystem::path& path, Write&& write) {
  std::filesystem::path temporary = path;
  temporary += ".partial";
  std::error_code error;
  try {
    File file = File::create(temporary);
    write(file);
    file.finish();
  } catch (...) {
    std::filesystem::remove(temporary, error);
    throw;
  }
  std::filesystem::rename(temporary, path, error);
  if (error) fail(concat(path.string(), ": can't be put in place: ", error.message()));
  sync_folder(std::filesystem::absolute(path).parent_path());
}
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Reads pieces of a file that mostly follow one another, with few calls: small pieces come out of a window.
class FileWindow {
 public:
  static constexpr std::size_t capacity = std::size_t{1} << 20;

  /// `bytes` (at most capacity) from `position` on, valid until the next call. Reads nothing from `limit` on.
  const std::byte* read(const File& file, std::uint64_t position, std::size_t bytes, std::uint64_t limit) {
    if (file_ != &file || position < begin_ || position + bytes > begin_ + held_) {
      const std::uint64_t ahead = bytes < small ? std::min<std::uint64_t>(4 * small, limit - position) : bytes;
      buffer_.resize(capacity);
      file_ = nullptr;
      file.read(position, buffer_.data(), static_cast<std::size_t>(ahead));
      file_ = &file;
      begin_ = position;
      held_ = ahead;
    }
    return buffer_.data() + (position - begin_);
  }
  /// Call before a File that was read from is closed.
  void forget() { file_ = nullptr; }

 private:
  static constexpr std::size_t small = std::size_t{64} << 10;
  std::vector<std::byte> buffer_;
  const File* file_ = nullptr;
  std::uint64_t begin_ = 0, held_ = 0;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/file.ipp"
#endif
