// Definitions of safetensors.hpp: the JSON of a header, both ways. Included by it, or compiled once
// (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "ashlar/checkpoint/safetensors.hpp"

namespace ashlar::inline v0 {

namespace detail {

inline std::optional<DType> dtype_from(std::string_view name) {
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::i32, DType::u8, DType::i64})
    if (to_string(t) == name) return t;
  return std::nullopt;
}

/// Takes the header's JSON as it is parsed, so that a hostile header costs no more than its own length.
class SafetensorsReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsReader(SafetensorsHeader& header, const std::string& path) : header_(header), path_(path) {}

  bool start_object(std::size_t) override {
    if (depth_ == 0 || (depth_ == 1 && !key_.empty())) return ++depth_, true;
    refuse("an object stands where none belongs");
  }
  bool end_object() override {
    if (--depth_ == 1 && !in_metadata()) end_entry();
    return true;
  }
  bool key(std::string& name) override {
    if (depth_ == 1) {
      key_ = name;
      if (key_.empty()) refuse("a tensor has no name");
      if (!in_metadata()) entry_ = {}, entry_.name = key_, seen_ = 0;
      if (in_metadata() && std::exchange(has_metadata_, true)) refuse("stands twice");
      return true;
    }
    field_ = name;
    if (in_metadata()) return true;
    const int bit = name == "dtype" ? 1 : name == "shape" ? 2 : name == "data_offsets" ? 4 : 0;
    if (bit == 0) refuse(concat("has a field \"", name.substr(0, 60), "\"; dtype, shape and data_offsets are known"));
    if (seen_ & bit) refuse(concat("has the field \"", name, "\" twice"));
    seen_ |= bit;
    return true;
  }
  bool string(std::string& value) override {
    if (depth_ == 2 && in_metadata()) {
      if (!header_.metadata.emplace(field_, value).second) refuse(concat("has the key \"", field_, "\" twice"));
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") refuse("a text stands where none belongs");
    const auto type = dtype_from(value);
    if (!type)
      refuse(concat("has the type \"", value.substr(0, 60), "\"; F32, F64, BF16, I64, I32 and U8 can be read"));
    entry_.dtype = *type;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata() || field_ == "dtype") refuse("a list stands where none belongs");
    ++depth_;
    numbers_ = 0;
    return true;
  }
  bool end_array() override {
    --depth_;
    if (field_ == "data_offsets" && numbers_ != 2) refuse(concat("has ", numbers_, " data_offsets; two belong there"));
    return true;
  }
  bool number_unsigned(std::uint64_t value) override {
    if (depth_ != 3) refuse("a number stands where none belongs");
    if (value > (std::uint64_t{1} << 62))
      refuse(concat("has the number ", value, ", which no file is large enough for"));
    const int i = numbers_++;
    if (field_ == "data_offsets") {
      if (i < 2) (i == 0 ? entry_.begin : entry_.end) = value;
    } else if (i < Shape::max_rank) {
      entry_.shape.push_back(static_cast<index_t>(value));
    } else {
      refuse(concat("has more than ", Shape::max_rank, " dimensions"));
    }
    return true;
  }
  bool number_integer(std::int64_t value) override { return refuse(concat("has the negative number ", value)); }
  bool number_float(double, const std::string& text) override {
    return refuse(concat("has the number ", text.substr(0, 60), ", which is no integer"));
  }
  bool null() override { return refuse("null stands where it does not belong"); }
  bool boolean(bool) override { return refuse("a truth value stands where none belongs"); }
  bool binary(nlohmann::json::binary_t&) override { return refuse("binary data stand where none belong"); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    fail(concat(path_, ": the safetensors header is not JSON: ", error.what()));
  }
  void finish() {
    if (depth_ != 0) refuse("the header is no object");
  }

 private:
  bool in_metadata() const { return key_ == "__metadata__"; }
  void end_entry() {
    if (seen_ != 7) refuse("lacks one of dtype, shape and data_offsets");
    std::uint64_t bytes = size_of(entry_.dtype);
    for (index_t d : entry_.shape)
      if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(d), &bytes) || bytes > (std::uint64_t{1} << 62))
        refuse(concat("has the shape ", entry_.shape, ", which no file is large enough for"));
    if (entry_.begin > entry_.end || entry_.end - entry_.begin != bytes)
      refuse(concat("needs ", bytes, " bytes for ", entry_.shape, " of ", to_string(entry_.dtype),
                    ", but its data_offsets are ", entry_.begin, " and ", entry_.end));
    header_.entries.push_back(std::move(entry_));
  }
  [[noreturn]] bool refuse(const std::string& what) const {
    fail(concat(path_, ": ", key_.empty() ? "the safetensors header" : "tensor ", key_.substr(0, 200), ": ", what));
  }

  SafetensorsHeader& header_;
  const std::string& path_;
  int depth_ = 0, seen_ = 0, numbers_ = 0;
  bool has_metadata_ = false;
  std::string key_, field_;
  SafetensorsEntry entry_;
};

}  // namespace detail

ASHLAR_ONCE SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                                       const std::string& path) {
  SafetensorsHeader header;
  if (text.empty() || text.front() != '{') fail(concat(path, ": the safetensors header is no JSON object"));
  detail::SafetensorsReader reader(header, path);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  reader.finish();
  auto& entries = header.entries;
  std::vector<std::string_view> names;
  for (const SafetensorsEntry& e : entries) names.push_back(e.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    fail(concat(path, ": tensor ", twice->substr(0, 200), ": stands twice"));
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const SafetensorsEntry& e : entries) {
    if (e.begin != at || e.end > data_bytes)
      fail(concat(path, ": tensor ", e.name.substr(0, 200), ": its data are said to be bytes ", e.begin, " to ", e.end,
                  ", but ",
                  e.begin < at   ? "those before it end"
                  : e.begin > at ? "there is a gap from"
                                 : "the file ends",
                  " at ", e.begin == at ? data_bytes : at, "; the file is damaged or cut off"));
    at = e.end;
  }
  if (at != data_bytes) fail(concat(path, ": ", data_bytes - at, " bytes at the end belong to no tensor"));
  return header;
}

ASHLAR_ONCE std::string format_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                                  const std::map<std::string, std::string>& metadata) {
  nlohmann::json root = nlohmann::json::object();
  if (!metadata.empty()) root["__metadata__"] = metadata;
  for (const SafetensorsEntry& e : entries)
    root[e.name] = {{"dtype", std::string(to_string(e.dtype))},
                    {"shape", std::vector<index_t>(e.shape.begin(), e.shape.end())},
                    {"data_offsets", {e.begin, e.end}}};
  std::string text = root.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  check(text.size() <= largest_safetensors_header, "a safetensors header would be longer than readers accept");
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(static_cast<std::uint64_t>(text.size()) >> (8 * i) & 0xff);
  return out + text;
}

ASHLAR_ONCE SafetensorsHeader read_safetensors_header(const File& file) {
  const std::string path = file.path().string();
  if (file.size() < 8) fail(concat(path, ": has ", file.size(), " bytes, too few for a safetensors file"));
  unsigned char prefix[8];
  file.read(0, prefix, sizeof prefix);
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | prefix[i];
  if (length > file.size() - 8 || length > largest_safetensors_header)
    fail(concat(path, ": says that its header has ", length, " bytes, but the file has ", file.size(),
                " and a header at most ", largest_safetensors_header,
                "; it is damaged, cut off, or no safetensors file"));
  std::string text(static_cast<std::size_t>(length), '\0');
  file.read(8, text.data(), text.size());
  SafetensorsHeader header = parse_safetensors_header(text, file.size() - 8 - length, path);
  header.data_begin = 8 + length;
  return header;
}

}  // namespace ashlar::inline v0
