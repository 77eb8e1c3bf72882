// Saving: every rank writes the pieces it owns into a file of its own; when all have, rank 0 writes the manifest that
// makes them a checkpoint. Used by train/checkpointer.hpp. Read next: checkpoint/load.hpp.
#pragma once

#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ashlar/checkpoint/element_cast.hpp"
#include "ashlar/checkpoint/folder.hpp"
#include "ashlar/checkpoint/state.hpp"
#include "ashlar/checkpoint/tensor_index.hpp"
#include "ashlar/comm/communicator.hpp"

namespace ashlar::inline v0 {

/// "rank-00003-of-00008.safetensors"
inline std::string rank_file_name(int rank, int size) {
  const auto five = [](int n) {
    const std::string digits = std::to_string(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return concat("rank-", five(rank), "-of-", five(size), ".safetensors");
}

namespace detail {

/// Writes what this rank owns of the ranges, in type `type` where one is given. Returns the file's length, or 0 when
/// there was nothing to write, and then no file.
template <class CompiledOnce = void>
std::uint64_t write_rank_file(const std::filesystem::path& path, std::span<const StateRange> ranges,
                              std::optional<DType> type) {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
  std::uint64_t at = 0;
  for (const StateRange& range : ranges)
    range.layout->for_each_box(range.begin, range.begin + range.owned, [&](const Box& box) {
      std::string name = range.name(box);
      const Shape& shape = range.shape(box);
      if (box.extent != shape) {
        metadata[shape_key(name)] = shape_text(shape);
        name = piece_name(name, box.offset);
      }
      const DType stored = type.value_or(range.dtype);
      const std::uint64_t end = at + static_cast<std::uint64_t>(box.extent.count()) * size_of(stored);
      entries.push_back({std::move(name), stored, box.extent, at, end});
      at = end;
    });
  if (entries.empty()) return 0;

  File file = File::create(path);
  const std::string header = format_safetensors_header(entries, metadata);
  file.write(header.data(), header.size());
  std::vector<std::byte> host, cast;
  for (const StateRange& range : ranges) {
    if (range.owned == 0) continue;
    host.resize(range.bytes(range.owned));
    range.download(host.data(), range.owned);
    range.layout->for_each_box(range.begin, range.begin + range.owned, [&](const Box& box) {
      const std::byte* data = host.data() + range.bytes(box.begin - range.begin);
      const index_t n = box.extent.count();
      if (!type || *type == range.dtype) return file.write(data, range.bytes(n));
      cast.resize(static_cast<std::size_t>(n) * size_of(*type));
      cast_elements(range.dtype, data, *type, cast.data(), n);
      file.write(cast.data(), cast.size());
    });
  }
  file.finish();
  sync_folder(std::filesystem::absolute(path).parent_path());
  return file.size();
}

/// Runs `work`; afterwards all ranks know each one's result. Where it threw on any rank, throws Error on all: there
/// with its own words, elsewhere naming the rank. Collective.
template <class Work>
std::vector<std::int64_t> all_or_none(Communicator& world, const std::string& what, Work&& work) {
  std::int64_t mine = -1;
  std::string error;
  try {
    mine = work();
  } catch (const std::exception& e) {
    error = e.what();
  }
  const std::vector<std::int64_t> all = world.gather_values(mine);
  if (mine < 0) fail(concat("rank ", world.rank(), " could not ", what, ": ", error));
  for (std::size_t r = 0; r < all.size(); ++r)
    if (all[r] < 0) fail(concat("rank ", r, " could not ", what, "; its own message says why"));
  return all;
}

}  // namespace detail

/// Writes a checkpoint into `folder`, which is made or emptied first. `manifest` needs everything but the files; `type`
/// is what elements are written as, their own where empty. Returns when all is on the disk. Where any rank fails, all
/// throw, and no manifest has been there since the first file was touched: no rest of it is taken for a checkpoint.
/// Collective; the ranks share the file system, and wait for each other as long as the communicator's timeout lets
/// them.
template <class CompiledOnce = void>
void save_checkpoint(const std::filesystem::path& folder, std::span<const StateRange> ranges, Manifest manifest,
                     Communicator world, std::optional<DType> type = {}) {
  const std::string what = concat("save ", folder.string());
  const int rank = world.rank(), size = world.size();
  detail::all_or_none(world, what, [&] {
    if (rank == 0) {
      if (std::filesystem::remove(folder / Manifest::file_name)) sync_folder(folder);  // or fails: before all else
      std::filesystem::remove_all(folder);
      make_folder(folder);
    }
    return 0;
  });
  try {
    const auto bytes = detail::all_or_none(world, what, [&] {
      return static_cast<std::int64_t>(detail::write_rank_file(folder / rank_file_name(rank, size), ranges, type));
    });
    for (int r = 0; r < size; ++r)
      if (const std::int64_t n = bytes[static_cast<std::size_t>(r)]; n > 0)
        manifest.files.push_back({rank_file_name(r, size), static_cast<std::uint64_t>(n)});
    detail::all_or_none(world, what, [&] {
      if (rank == 0) {
        write_file_atomically(folder / Manifest::file_name, to_json(manifest));
      }
      return 0;
    });
  } catch (...) {
    if (rank == 0) remove_checkpoint(folder);  // gives a full disk back
    throw;
  }
}

}  // namespace ashlar::inline v0
