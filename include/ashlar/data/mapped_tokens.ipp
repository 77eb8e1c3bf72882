// Definitions of mapped_tokens.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "ashlar/core/error.hpp"
#include "ashlar/data/mapped_tokens.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE MappedTokens::MappedTokens(const std::string& path, std::size_t begin, std::size_t tokens,
                                       index_t vocab_size, std::int32_t end_of_document)
    : path_(path), size_(tokens), vocab_size_(vocab_size), end_of_document_(end_of_document) {
  const auto refuse = [&](int error) {
    fail(concat(path, ": can't be mapped: ", std::generic_category().message(error)));
  };
  const std::size_t bytes = begin + tokens * sizeof(std::int32_t);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) refuse(errno);
  struct stat status {};
  const bool is_long_enough = ::fstat(descriptor, &status) == 0 && static_cast<std::size_t>(status.st_size) >= bytes;
  void* at = is_long_enough && bytes > 0 ? ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0) : MAP_FAILED;
  const int error = is_long_enough ? errno : EINVAL;
  ::close(descriptor);
  if (at == MAP_FAILED) refuse(error);
  file_ = {static_cast<const std::byte*>(at),
           [bytes](const std::byte* p) { ::munmap(const_cast<std::byte*>(p), bytes); }};
  tokens_ = file_.get() + begin;
}

ASHLAR_ONCE void MappedTokens::read(std::size_t begin, std::span<std::int32_t> out) const {
  std::memcpy(out.data(), tokens_ + begin * sizeof(std::int32_t), out.size_bytes());
  for (std::size_t i = 0; i < out.size(); ++i)
    if (out[i] < 0 || out[i] >= vocab_size_)
      fail(concat(path_, ": token ", begin + i, " is ", out[i], ", but its vocabulary has ", vocab_size_, " tokens"));
}

}  // namespace ashlar::inline v0
