// Definitions of save.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/checkpoint/save.hpp"

namespace ashlar::inline v0 {
namespace detail {

ASHLAR_ONCE std::uint64_t write_rank_file(const std::filesystem::path& path, std::span<const StateRange> ranges,
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

}  // namespace detail

ASHLAR_ONCE void save_checkpoint(const std::filesystem::path& folder, std::span<const StateRange> ranges,
                                 Manifest manifest, Communicator world, std::optional<DType> type) {
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
