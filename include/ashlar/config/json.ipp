// Definitions of json.hpp: values as JSON, both ways. Included by it, or compiled once
// (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ashlar/config/json.hpp"
#include "ashlar/core/error.hpp"

namespace ashlar::inline v0 {

namespace detail {

/// Any JSON value as text for a message, cut where it gets long; bytes that are no UTF-8 are replaced.
ASHLAR_ONCE std::string excerpt(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

/// Stores a JSON value in a field, where it has the field's type.
struct JsonReader {
  const nlohmann::json& json;
  std::string_view origin;

  [[noreturn]] void mismatch(std::string_view expected) const { fail_type(origin, expected, excerpt(json)); }

  template <class T>
  void integer(T& out, std::string_view expected) const {
    constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
    const bool too_large = json.is_number_unsigned() && json.get<std::uint64_t>() > largest;
    if (!json.is_number_integer() || too_large) mismatch(expected);
    const auto value = json.get<std::int64_t>();
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) mismatch(expected);
    out = static_cast<T>(value);
  }
  void operator()(bool* out) const {
    if (!json.is_boolean()) mismatch("true or false");
    *out = json.get<bool>();
  }
  void operator()(int* out) const { integer(*out, "an integer of 32 bits"); }
  void operator()(std::int64_t* out) const { integer(*out, "an integer of 64 bits"); }
  void operator()(double* out) const {
    if (!json.is_number()) mismatch("a number");
    *out = json.get<double>();
  }
  void operator()(std::optional<double>* out) const {
    if (!json.is_number() && !json.is_null()) mismatch("a number or null");
    *out = json.is_null() ? std::nullopt : std::optional(json.get<double>());
  }
  void operator()(std::string* out) const {
    if (!json.is_string()) mismatch("a text");
    *out = json.get<std::string>();
  }
  void operator()(std::vector<std::string>* out) const {
    if (!json.is_array()) mismatch("a list of texts");
    out->clear();
    for (const nlohmann::json& item : json) {
      if (!item.is_string()) mismatch("a list of texts");
      out->push_back(item.get<std::string>());
    }
  }
  void operator()(std::vector<GroupOptions>* out) const {
    if (!json.is_array()) mismatch("a list of objects");
    out->clear();
    for (const nlohmann::json& item : json) {
      if (!item.is_object()) mismatch("a list of objects");
      std::vector<Field> all = fields(out->emplace_back());
      for (auto value = item.begin(); value != item.end(); ++value) {
        const std::string place = concat(origin, ": ", value.key());
        std::visit(JsonReader{*value, place}, find_field(all, value.key(), origin).value);
      }
    }
  }
};

struct JsonWriter {
  nlohmann::json operator()(const std::vector<GroupOptions>* groups) const {
    nlohmann::json out = nlohmann::json::array();
    for (GroupOptions group : *groups) {
      nlohmann::json& object = out.emplace_back(nlohmann::json::object());
      for (const Field& field : fields(group)) object[field.name] = std::visit(JsonWriter(), field.value);
    }
    return out;
  }
  nlohmann::json operator()(const std::optional<double>* number) const {
    return *number ? nlohmann::json(**number) : nlohmann::json();
  }
  template <class T>
  nlohmann::json operator()(const T* value) const {
    return *value;
  }
};

/// Parses JSON with comments. A key that stands twice in one object is an error: one of the two would be lost unseen.
/// So is deep nesting: nlohmann::json writes a value out by recursion, and a message quotes values.
ASHLAR_ONCE nlohmann::json parse_json(std::string_view text, const std::string& source) {
  std::vector<std::set<std::string>> seen;  // the keys of each object that is open, by depth
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    const auto level = static_cast<std::size_t>(depth);
    if (depth > 16) throw ConfigError(concat(source, ": is nested too deep for a configuration"));
    if (event == nlohmann::json::parse_event_t::object_start) {
      seen.resize(level);
      seen.emplace_back();
    } else if (event == nlohmann::json::parse_event_t::key &&
               !seen[level - 1].insert(value.get<std::string>()).second) {
      throw ConfigError(concat(source, ": the key ", excerpt(value), " stands twice in one object"));
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch, true, true);
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(concat(source, ": not JSON: ", error.what()));
  }
}

}  // namespace detail

ASHLAR_ONCE void read_json(FieldList& list, std::string_view text, const std::string& source) {
  const nlohmann::json root = detail::parse_json(text, source);
  if (!root.is_object()) detail::fail_type(source, "an object of sections", detail::excerpt(root));
  std::vector<std::string> sections;
  for (const FieldList::Section& section : list.sections()) sections.push_back(section.name);
  for (auto entry = root.begin(); entry != root.end(); ++entry) {
    const std::string& section = entry.key();
    if (std::find(sections.begin(), sections.end(), section) == sections.end())
      throw ConfigError(concat(source, ": unknown section \"", section, "\"; the nearest valid name is \"",
                               nearest_name(section, sections), "\""));
    const std::string origin = concat(source, ": ", section);
    if (!entry->is_object()) detail::fail_type(origin, "an object of fields", detail::excerpt(*entry));
    for (auto value = entry->begin(); value != entry->end(); ++value) {
      const std::string name = concat(section, ".", value.key());
      Field* field = list.find(name);
      if (!field)
        throw ConfigError(concat(source, ": unknown key \"", name, "\"; the nearest valid name is \"",
                                 nearest_name(name, list.names()), "\""));
      const std::string place = concat(source, ": ", name);
      std::visit(detail::JsonReader{*value, place}, field->value);
      check_value(*field, place);
      field->given = true;
    }
  }
}

ASHLAR_ONCE void read_json_file(FieldList& list, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::getline(file, text, '\0');  // all of it: JSON has no NUL
  if (!file.eof()) throw ConfigError(concat(path, ": can't read the configuration file"));
  read_json(list, text, path);
}

ASHLAR_ONCE std::string to_json(const Config& config) {
  Config copy = config;
  const FieldList list = fields(copy);
  nlohmann::json root;
  for (const FieldList::Section& section : list.sections()) {
    nlohmann::json& object = root[section.name];
    for (const Field& field : section.fields)
      object[field.name.substr(section.name.size() + 1)] = std::visit(detail::JsonWriter(), field.value);
  }
  return root.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace ashlar::inline v0
