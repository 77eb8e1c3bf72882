// Errors: one exception type that says what happened, where, and what to do. No fmt here: kernels include this file.
// Read next: core/shape.hpp.
#pragma once

#include <charconv>
#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace ashlar::inline v0 {

/// Whatever the library throws. what() is one message for a person, ending with the place that noticed.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

/// A configuration that can't be run: the user's to mend; reported without a source location.
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// Where a call stands, as a default argument. (std::source_location is not there under every compiler that we
/// support.)
struct SourceLocation {
  const char* file = "";
  int line = 0;
  static constexpr SourceLocation current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

namespace detail {

// Out of line and for size: messages are built in hundreds of places, and none of them is hot.
[[gnu::noinline, gnu::cold]] inline void append_text(std::string& out, const char* text, std::size_t size) {
  out.append(text, size);
}
template <class T>
[[gnu::noinline, gnu::cold]] void append_number(std::string& out, T value) {
  char buffer[40];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

inline void append(std::string& out, std::string_view text) {
  append_text(out, text.data(), text.size());
}
template <std::same_as<bool> T>
void append(std::string& out, T value) {
  append(out, std::string_view(value ? "true" : "false"));
}
template <std::integral T>
requires(!std::same_as<T, bool>) void append(std::string& out, T value) {
  if constexpr (std::is_unsigned_v<T>)
    append_number(out, static_cast<unsigned long long>(value));
  else
    append_number(out, static_cast<long long>(value));
}
template <std::floating_point T>
void append(std::string& out, T value) {
  append_number(out, value);
}
template <class T>
requires requires(const T& t) {
  { to_string(t) } -> std::convertible_to<std::string>;
}
void append(std::string& out, const T& value) {
  append(out, std::string_view(to_string(value)));
}

}  // namespace detail

/// The arguments, one after another, as text.
template <class... Parts>
[[gnu::noinline, gnu::cold]] std::string concat(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

/// Throws Error with `message` and the caller's file and line.
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(const std::string& message,
                                                        SourceLocation where = SourceLocation::current()) {
  throw Error(concat(message, " [", std::string_view(where.file), ":", where.line, "]"));
}

/// Throws Error unless `condition`. `message` is only read on failure: pass literals, or use if (...)
/// fail(concat(...)).
inline void check(bool condition, const char* message, SourceLocation where = SourceLocation::current()) {
  if (!condition) [[unlikely]]
    fail(message, where);
}

}  // namespace ashlar::inline v0
