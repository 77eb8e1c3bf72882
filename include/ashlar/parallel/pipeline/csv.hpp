// Schedules as CSV: a row a rank, cells "<stage><kind><micro-batch>" ("0F3"), kinds F, B, I, W; empty cells are idle.
// Used where --parallelism.pipeline_parallel_schedule_csv names a file. Read next: check.hpp.
#pragma once

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "ashlar/core/platform.hpp"
#include "ashlar/parallel/pipeline/check.hpp"

namespace ashlar::inline v0::pipeline {

namespace detail {

/// A cell's number counts from 1, as in an error message.
[[noreturn]] inline void csv_error(std::string_view name, std::size_t row, std::size_t column,
                                   const std::string& message) {
  throw ConfigError(concat(name, ": row ", row, ", column ", column, ": ", message));
}

inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const std::size_t begin = text.find_first_not_of(blank);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

/// The text up to `separator` or the end, cut off `rest`.
inline std::string_view cut(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view head = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return head;
}

/// The action that a cell says, or nothing.
inline std::optional<Action> parse_cell(std::string_view cell) {
  constexpr std::string_view letters = "FBIW";
  Action action{};
  const char* const end = cell.data() + cell.size();
  const auto [letter, stage_error] = std::from_chars(cell.data(), end, action.stage);
  if (stage_error != std::errc() || letter == end || letters.find(*letter) == letters.npos) return std::nullopt;
  action.kind = static_cast<Kind>(letters.find(*letter));
  const auto [stop, batch_error] = std::from_chars(letter + 1, end, action.micro_batch);
  if (batch_error != std::errc() || stop != end) return std::nullopt;
  if (cell[0] == '-' || letter[1] == '-') return std::nullopt;
  return action;
}

/// A file's actions and where each stands.
struct CsvCells {
  std::vector<std::vector<Action>> actions;       // [rank]
  std::vector<std::vector<std::size_t>> columns;  // [rank]: of each action, from 1
  std::vector<std::size_t> widths;                // [rank]: cells of the row
};

CsvCells parse_cells(std::string_view text, std::string_view name);

}  // namespace detail

/// The schedule that `text` holds, checked. Numbers of ranks, stages and micro-batches follow from the cells; a stage
/// belongs to the rank whose row has it. Throws ConfigError with `name`, row and column.
Schedule parse_csv(std::string_view text, std::string_view name);

/// The schedule as parse_csv reads it. Messages are left out: lower() puts them back.
std::string write_csv(const Schedule& schedule);

/// The schedule in a file, for that many ranks and micro-batches. Throws ConfigError.
Schedule read_csv(const std::string& path, int ranks, int micro_batches);

}  // namespace ashlar::inline v0::pipeline

#if !ASHLAR_COMPILED
#include "ashlar/parallel/pipeline/csv.ipp"
#endif
