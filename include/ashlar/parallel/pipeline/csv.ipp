// Definitions of csv.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/parallel/pipeline/csv.hpp"

namespace ashlar::inline v0::pipeline {
namespace detail {

ASHLAR_ONCE CsvCells parse_cells(std::string_view text, std::string_view name) {
  CsvCells out;
  while (!text.empty()) {
    std::string_view row = trimmed(cut(text, '\n'));
    if (row.empty() && text.find_first_not_of(" \t\r\n") == text.npos) break;  // blank lines at the end
    out.actions.emplace_back();
    out.columns.emplace_back();
    std::size_t column = 1;
    for (bool more = true; more; ++column) {
      more = row.find(',') != row.npos;
      const std::string_view cell = trimmed(cut(row, ','));
      if (cell.empty()) continue;
      const std::optional<Action> action = parse_cell(cell);
      if (!action)
        csv_error(
            name, out.actions.size(), column,
            concat("\"", cell.substr(0, 40), "\" is not a stage, one of F, B, I, W and a micro-batch, as in 0F3"));
      out.actions.back().push_back(*action);
      out.columns.back().push_back(column);
    }
    out.widths.push_back(column - 1);
    if (out.actions.back().empty()) csv_error(name, out.actions.size(), 1, "this rank does nothing");
  }
  if (out.actions.empty()) csv_error(name, 1, 1, "there is no row: the file has one for each rank");
  return out;
}

}  // namespace detail

ASHLAR_ONCE Schedule parse_csv(std::string_view text, std::string_view name) {
  detail::CsvCells cells = detail::parse_cells(text, name);
  Schedule schedule;
  schedule.ranks = static_cast<int>(cells.actions.size());
  schedule.actions = std::move(cells.actions);
  std::size_t count = 0;
  for (const std::vector<Action>& actions : schedule.actions) count += actions.size();

  // Every stage does at least F and B for every micro-batch: more of them than actions is an error, found before
  // memory is asked for by numbers that somebody mistyped.
  std::int64_t stages = 0, micro_batches = 0;
  for (std::size_t r = 0; r < schedule.actions.size(); ++r)
    for (std::size_t i = 0; i < schedule.actions[r].size(); ++i) {
      const Action& a = schedule.actions[r][i];
      stages = std::max(stages, std::int64_t{a.stage} + 1);
      micro_batches = std::max(micro_batches, std::int64_t{a.micro_batch} + 1);
      if (2 * stages > static_cast<std::int64_t>(count) ||
          2 * stages * micro_batches > static_cast<std::int64_t>(count))
        detail::csv_error(name, r + 1, cells.columns[r][i],
                          concat(to_string(a), " makes it ", stages, " x ", micro_batches,
                                 " stages x micro-batches, too many for the ", count, " actions of the file"));
    }
  schedule.stages = static_cast<int>(stages);
  schedule.micro_batches = static_cast<int>(micro_batches);

  schedule.stage_to_rank.assign(static_cast<std::size_t>(stages), -1);
  for (std::size_t r = 0; r < schedule.actions.size(); ++r)
    for (const Action& a : schedule.actions[r])
      if (int& rank = schedule.stage_to_rank[static_cast<std::size_t>(a.stage)]; rank < 0) rank = static_cast<int>(r);
  for (std::size_t s = 0; s < schedule.stage_to_rank.size(); ++s)
    if (schedule.stage_to_rank[s] < 0)
      detail::csv_error(name, cells.widths.size(), cells.widths.back() + 1, concat("no row has stage ", s));

  if (const std::optional<Problem> problem = find_problem(schedule)) {
    const auto r = static_cast<std::size_t>(problem->rank), i = static_cast<std::size_t>(problem->position);
    detail::csv_error(name, r + 1, i < cells.columns[r].size() ? cells.columns[r][i] : cells.widths[r] + 1,
                      problem->message);
  }
  return schedule;
}

ASHLAR_ONCE std::string write_csv(const Schedule& schedule) {
  std::string out;
  for (const std::vector<Action>& actions : schedule.actions) {
    std::string row;
    for (const Action& a : actions)
      if (is_compute(a.kind)) row += (row.empty() ? "" : ",") + to_string(a);
    out += row + "\n";
  }
  return out;
}

ASHLAR_ONCE Schedule read_csv(const std::string& path, int ranks, int micro_batches) {
  const std::string name = "--parallelism.pipeline_parallel_schedule_csv " + path;
  std::ifstream file(path, std::ios::binary);
  if (std::error_code ignored; !file || std::filesystem::is_directory(path, ignored))
    throw ConfigError(name + " is not a file that can be read");
  const Schedule schedule = parse_csv(std::string(std::istreambuf_iterator<char>(file), {}), name);
  if (schedule.ranks != ranks)
    throw ConfigError(
        concat(name, " has ", schedule.ranks, " rows, but --parallelism.pipeline_parallel_degree is ", ranks));
  if (schedule.micro_batches != micro_batches)
    throw ConfigError(concat(name, " has ", schedule.micro_batches,
                             " micro-batches, but --training.local_batch_size / ",
                             "--parallelism.pipeline_parallel_microbatch_size is ", micro_batches));
  return schedule;
}

}  // namespace ashlar::inline v0::pipeline
