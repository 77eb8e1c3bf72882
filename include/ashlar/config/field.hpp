// One configuration field as data: its dotted name, where its value lives, and its description; how a value is read
// from text and written back. Everything that shows or reads configuration walks a FieldList.
// Read next: config/options.hpp, the fields of Config.
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

#include "ashlar/config/check.hpp"
#include "ashlar/config/config.hpp"
#include "ashlar/config/nearest_name.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// The types that fields have. A closed set, so that readers and writers are ordinary functions, compiled once.
using FieldValue = std::variant<bool*, int*, std::int64_t*, double*, std::string*, std::optional<double>*,
                                std::vector<std::string>*, std::vector<GroupOptions>*>;

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

/// The fields of one group of parameters; refers to `group`.
std::vector<Field> fields(GroupOptions& group);

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
  void section(std::string_view name, std::string_view meaning);
  /// Describes one field of the current section.
  void field(std::string_view name, FieldValue value, FieldNote note);

  const std::vector<Section>& sections() const& { return sections_; }
  const std::vector<Section>& sections() && = delete;  // for (... : fields(config).sections()) would walk a dead list

  /// The field of that dotted name (`-` equals `_`), or null.
  Field* find(std::string_view name);
  /// All dotted names.
  std::vector<std::string> names() const;

 private:
  std::vector<Section> sections_;
};

/// The type of a field's value, for help: TEXT, INTEGER, NUMBER, LIST, or true|false.
std::string_view type_name(const Field& field);

/// The value as text: what assign() reads back.
std::string value_text(const Field& field);

/// Reads the value from `text`. Lists are separated by commas; an optional number may be "none". Of groups, the text
/// appends some: "names=layers.*,rule=Muon;names=*norm*,lr_factor=0.5".
/// Throws ConfigError that begins with `origin` where the text has another type or fails the check.
void assign(Field& field, std::string_view text, std::string_view origin);

/// Throws ConfigError that begins with `origin` where the current value fails the field's check.
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

void check_number(const Field& field, double value, std::string_view origin);

/// The field of that name. Throws ConfigError that begins with `origin` and says the nearest.
Field& find_field(std::vector<Field>& all, std::string_view name, std::string_view origin);

void check_text(const Field& field, std::string_view text, std::string_view origin);

}  // namespace detail
}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/config/field.ipp"
#endif
