// One configuration field as data: its dotted name, where its value lives, and its description; how a value is read
// from text and written back. Everything that shows or reads configuration walks a FieldList.
// Read next: train/config_fields.hpp, the fields of Config.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/train/config_check.hpp"
#include "ashlar/train/nearest_name.hpp"

namespace ashlar::inline v0 {

/// The types that fields have. A closed set, so that readers and writers are ordinary functions, compiled once.
using FieldValue =
    std::variant<bool*, int*, std::int64_t*, double*, std::string*, std::optional<double>*, std::vector<std::string>*>;

/// What a person is told about a field, and which values it takes. The texts are literals.
struct FieldNote {
  std::string_view unit = {};
  std::string_view meaning = {};
  Check check = {};
};

struct Field {
  std::string name;  // "training.seq_len"
  FieldValue value;  // not owned
  FieldNote note;
  bool given = false;  // a file or a flag has set it

  bool is_flag() const { return std::holds_alternative<bool*>(value); }
};

/// The fields of one configuration object, in the order of their description. Refers to that object: must not outlive
/// it.
class FieldList {
 public:
  struct Section {
    std::string name;
    std::string_view meaning;
    std::vector<Field> fields;
  };

  /// Starts a section: the fields that follow are "name.field".
  template <class CompiledOnce = void>
  void section(std::string_view name, std::string_view meaning) {
    sections_.push_back({std::string(name), meaning, {}});
  }
  /// Describes one field of the current section.
  template <class CompiledOnce = void>
  void field(std::string_view name, FieldValue value, FieldNote note) {
    Section& s = sections_.back();
    s.fields.push_back({concat(s.name, ".", name), value, std::move(note)});
  }

  const std::vector<Section>& sections() const& { return sections_; }
  const std::vector<Section>& sections() && = delete;  // for (... : fields(config).sections()) would walk a dead list

  /// The field of that dotted name (`-` equals `_`), or null.
  template <class CompiledOnce = void>
  Field* find(std::string_view name);
  /// All dotted names.
  template <class CompiledOnce = void>
  std::vector<std::string> names() const;

 private:
  std::vector<Section> sections_;
};

/// The type of a field's value, for help: TEXT, INTEGER, NUMBER, LIST, or true|false.
template <class CompiledOnce = void>
std::string_view type_name(const Field& field);

/// The value as text: what assign() reads back.
template <class CompiledOnce = void>
std::string value_text(const Field& field);

/// Reads the value from `text`. Lists are separated by commas; an optional number may be "none".
/// Throws ConfigError that begins with `origin` where the text has another type or fails the check.
template <class CompiledOnce = void>
void assign(Field& field, std::string_view text, std::string_view origin);

/// Throws ConfigError that begins with `origin` where the current value fails the field's check.
template <class CompiledOnce = void>
void check_value(const Field& field, std::string_view origin);

namespace detail {

/// Whether all of `text` is one number of type T.
template <class T>
bool read_number(std::string_view text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

[[noreturn]] inline void fail_type(std::string_view origin, std::string_view expected, std::string_view found) {
  throw ConfigError(concat(origin, ": expected ", expected, ", found ", found));
}

template <class CompiledOnce = void>
void check_number(const Field& field, double value, std::string_view origin) {
  if (value - value != 0) throw ConfigError(concat(origin, ": must be a finite number"));
  if (!field.note.check.allows(value))
    throw ConfigError(concat(origin, ": must be ", field.note.check.text(), ", found ", value));
}

template <class CompiledOnce = void>
void check_text(const Field& field, std::string_view text, std::string_view origin) {
  const Check& check = field.note.check;
  if (check.allows(text)) return;
  const std::vector<std::string> names(check.names().begin(), check.names().end());
  throw ConfigError(
      concat(origin, ": must be ", check.text(), ", found \"", text, "\"; the nearest is ", nearest_name(text, names)));
}

}  // namespace detail

template <class CompiledOnce>
Field* FieldList::find(std::string_view name) {
  std::string wanted(name);
  for (char& c : wanted)
    if (c == '-') c = '_';
  for (Section& s : sections_)
    for (Field& f : s.fields)
      if (f.name == wanted) return &f;
  return nullptr;
}

template <class CompiledOnce>
std::vector<std::string> FieldList::names() const {
  std::vector<std::string> out;
  for (const Section& s : sections_)
    for (const Field& f : s.fields) out.push_back(f.name);
  return out;
}

template <class CompiledOnce>
std::string_view type_name(const Field& field) {
  constexpr std::string_view names[] = {"true|false", "INTEGER", "INTEGER", "NUMBER", "TEXT", "NUMBER|none", "LIST"};
  static_assert(std::variant_size_v<FieldValue> == sizeof names / sizeof names[0]);
  return names[field.value.index()];
}

template <class CompiledOnce>
std::string value_text(const Field& field) {
  struct Writer {
    std::string operator()(const std::vector<std::string>* list) const {
      std::string out;
      for (const std::string& item : *list) out += (&item == list->data() ? "" : ",") + item;
      return out;
    }
    std::string operator()(const std::optional<double>* number) const { return *number ? concat(**number) : "none"; }
    std::string operator()(const std::string* text) const { return *text; }
    std::string operator()(const bool* flag) const { return concat(*flag); }
    std::string operator()(const int* number) const { return concat(*number); }
    std::string operator()(const std::int64_t* number) const { return concat(*number); }
    std::string operator()(const double* number) const { return concat(*number); }
  };
  return std::visit(Writer(), field.value);
}

template <class CompiledOnce>
void check_value(const Field& field, std::string_view origin) {
  struct Checker {
    const Field& field;
    std::string_view origin;
    void operator()(const bool*) const {}
    void operator()(const int* number) const { detail::check_number(field, *number, origin); }
    void operator()(const std::int64_t* number) const {
      detail::check_number(field, static_cast<double>(*number), origin);
    }
    void operator()(const double* number) const { detail::check_number(field, *number, origin); }
    void operator()(const std::optional<double>* number) const {
      if (*number) detail::check_number(field, **number, origin);
    }
    void operator()(const std::string* text) const { detail::check_text(field, *text, origin); }
    void operator()(const std::vector<std::string>* list) const {
      for (const std::string& item : *list) detail::check_text(field, item, origin);
    }
  };
  std::visit(Checker{field, origin}, field.value);
}

template <class CompiledOnce>
void assign(Field& field, std::string_view text, std::string_view origin) {
  struct Reader {
    std::string_view text, origin;
    [[noreturn]] void mismatch(std::string_view expected) const {
      detail::fail_type(origin, expected, concat("\"", text, "\""));
    }
    void operator()(bool* flag) const {
      if (text != "true" && text != "false") mismatch("true or false");
      *flag = text == "true";
    }
    void operator()(int* number) const {
      if (!detail::read_number(text, *number)) mismatch("an integer of 32 bits");
    }
    void operator()(std::int64_t* number) const {
      if (!detail::read_number(text, *number)) mismatch("an integer of 64 bits");
    }
    void operator()(double* number) const {
      if (!detail::read_number(text, *number)) mismatch("a number");
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
  };
  std::visit(Reader{text, origin}, field.value);
  check_value(field, origin);
  field.given = true;
}

}  // namespace ashlar::inline v0
