// Definitions of field.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/config/field.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE void FieldList::section(std::string_view name, std::string_view meaning) {
  sections_.push_back({std::string(name), meaning, {}});
}

ASHLAR_ONCE void FieldList::field(std::string_view name, FieldValue value, FieldNote note) {
  Section& s = sections_.back();
  s.fields.push_back({concat(s.name, ".", name), value, std::move(note)});
}

namespace detail {

ASHLAR_ONCE void check_number(const Field& field, double value, std::string_view origin) {
  if (value - value != 0) throw ConfigError(concat(origin, ": must be a finite number"));
  if (!field.note.check.allows(value))
    throw ConfigError(concat(origin, ": must be ", field.note.check.text(), ", found ", value));
}

ASHLAR_ONCE Field& find_field(std::vector<Field>& all, std::string_view name, std::string_view origin) {
  std::vector<std::string> names;
  for (Field& f : all) {
    if (f.name == name) return f;
    names.push_back(f.name);
  }
  throw ConfigError(
      concat(origin, ": unknown name \"", name, "\"; the nearest valid name is \"", nearest_name(name, names), "\""));
}

ASHLAR_ONCE void check_text(const Field& field, std::string_view text, std::string_view origin) {
  const Check& check = field.note.check;
  if (check.allows(text)) return;
  const std::vector<std::string> names(check.names().begin(), check.names().end());
  throw ConfigError(
      concat(origin, ": must be ", check.text(), ", found \"", text, "\"; the nearest is ", nearest_name(text, names)));
}

}  // namespace detail

ASHLAR_ONCE Field* FieldList::find(std::string_view name) {
  std::string wanted(name);
  for (char& c : wanted)
    if (c == '-') c = '_';
  for (Section& s : sections_)
    for (Field& f : s.fields)
      if (f.name == wanted) return &f;
  return nullptr;
}

ASHLAR_ONCE std::vector<std::string> FieldList::names() const {
  std::vector<std::string> out;
  for (const Section& s : sections_)
    for (const Field& f : s.fields) out.push_back(f.name);
  return out;
}

ASHLAR_ONCE std::string_view type_name(const Field& field) {
  constexpr std::string_view names[] = {"true|false", "INTEGER",     "INTEGER", "NUMBER",
                                        "TEXT",       "NUMBER|none", "LIST",    "GROUPS"};
  static_assert(std::variant_size_v<FieldValue> == sizeof names / sizeof names[0]);
  return names[field.value.index()];
}

namespace detail {

/// The value as text.
struct ValueWriter {
  std::string operator()(const std::vector<std::string>* list) const {
    std::string out;
    for (const std::string& item : *list) out += (&item == list->data() ? "" : ",") + item;
    return out;
  }
  // What is as by default is left out.
  std::string operator()(const std::vector<GroupOptions>* groups) const {
    std::string out;
    for (GroupOptions group : *groups) {
      GroupOptions defaults;
      out += out.empty() ? "" : ";";
      bool first = true;
      const std::vector<Field> all = fields(group), unset = fields(defaults);
      for (std::size_t i = 0; i < all.size(); ++i)
        if (const std::string text = value_text(all[i]); text != value_text(unset[i]))
          out += concat(std::exchange(first, false) ? "" : ",", all[i].name, "=", text);
    }
    return out;
  }
  std::string operator()(const std::optional<double>* number) const { return *number ? concat(**number) : "none"; }
  std::string operator()(const auto* value) const { return concat(*value); }
};

/// Throws where the field does not allow the value.
struct ValueChecker {
  const Field& field;
  std::string_view origin;
  void operator()(const bool*) const {}
  void operator()(const auto* number) const { detail::check_number(field, static_cast<double>(*number), origin); }
  void operator()(const std::optional<double>* number) const {
    if (*number) detail::check_number(field, **number, origin);
  }
  void operator()(const std::string* text) const { detail::check_text(field, *text, origin); }
  void operator()(const std::vector<std::string>* list) const {
    for (const std::string& item : *list) detail::check_text(field, item, origin);
  }
  void operator()(const std::vector<GroupOptions>* groups) const {
    for (GroupOptions group : *groups) {
      for (const Field& f : fields(group)) check_value(f, concat(origin, ": ", f.name));
      if (group.names.empty()) throw ConfigError(concat(origin, ": a group needs names, as in names=layers.*"));
    }
  }
};

/// Sets the value from text.
struct ValueReader {
  std::string_view text, origin;
  [[noreturn]] void mismatch(std::string_view expected) const {
    detail::fail_type(origin, expected, concat("\"", text, "\""));
  }
  void operator()(bool* flag) const {
    if (text != "true" && text != "false") mismatch("true or false");
    *flag = text == "true";
  }
  template <class T>
  void operator()(T* number) const {
    if (!detail::read_number(text, *number))
      mismatch(std::is_same_v<T, double> ? "a number"
               : sizeof(T) == 4          ? "an integer of 32 bits"
                                         : "an integer of 64 bits");
  }
  void operator()(std::optional<double>* number) const {
    double value = 0;
    if (text != "none" && !detail::read_number(text, value)) mismatch("a number or none");
    *number = text == "none" ? std::nullopt : std::optional(value);
  }
  void operator()(std::string* out) const { *out = text; }
  void operator()(std::vector<std::string>* list) const {
    list->clear();
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (comma == 0 || comma + 1 == rest.size()) mismatch("names separated by single commas");
      list->emplace_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  void operator()(std::vector<GroupOptions>* groups) const {
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      groups->push_back(group_of(rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  GroupOptions group_of(std::string_view rest) const {
    GroupOptions group;
    std::vector<Field> all = fields(group);
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size()), equals = std::min(rest.find('='), end);
      if (equals == end) mismatch("name=value separated by commas, and groups by semicolons");
      Field& f = detail::find_field(all, rest.substr(0, equals), origin);
      assign(f, rest.substr(equals + 1, end - equals - 1), concat(origin, ": ", f.name));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return group;
  }
};

}  // namespace detail

ASHLAR_ONCE std::string value_text(const Field& field) {
  return std::visit(detail::ValueWriter(), field.value);
}

ASHLAR_ONCE void check_value(const Field& field, std::string_view origin) {
  std::visit(detail::ValueChecker{field, origin}, field.value);
}

ASHLAR_ONCE void assign(Field& field, std::string_view text, std::string_view origin) {
  std::visit(detail::ValueReader{text, origin}, field.value);
  check_value(field, origin);
  field.given = true;
}

}  // namespace ashlar::inline v0
