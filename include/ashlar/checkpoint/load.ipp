// Definitions of load.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/checkpoint/load.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE OpenCheckpoint open_checkpoint(std::filesystem::path path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!is_complete(path))
    if (const auto newest = newest_step(path)) path = step_folder(path, *newest);
  OpenCheckpoint opened{path, {}, TensorIndex(path.string())};
  if (is_complete(path)) {
    opened.manifest = read_manifest(path);
    for (const Manifest::StoredFile& f : opened.manifest->files) opened.index.add(path / f.name, f.bytes);
  } else if (fs::is_regular_file(path, error)) {
    opened.index.add(path);
  } else {
    std::vector<fs::path> files;
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() != ".safetensors") continue;
      if (it->path().filename().string().compare(0, 5, "rank-") == 0)
        fail(concat(path.string(), ": is a checkpoint that was not finished: it has no ", Manifest::file_name));
      files.push_back(it->path());
    }
    if (files.empty()) fail(concat(path.string(), ": has no complete checkpoint and no safetensors file"));
    std::sort(files.begin(), files.end());
    for (const fs::path& f : files) opened.index.add(f);
  }
  return opened;
}

ASHLAR_ONCE void load_state(TensorIndex& index, std::span<const StateRange> ranges) {
  std::vector<std::byte> host;
  for (const StateRange& range : ranges) {
    host.assign(range.bytes(range.count), std::byte{0});
    range.layout->for_each_box(range.begin, range.begin + range.count, [&](const Box& box) {
      const std::string name = range.name(box);
      const Shape& shape = range.shape(box);
      if (const Shape& stored = index.find(name).shape; stored != shape)
        fail(concat("tensor ", name, " is ", stored, " in the checkpoint, but ", shape, " in the model"));
      index.read(name, {box.offset, box.extent}, range.dtype, host.data() + range.bytes(box.begin - range.begin));
    });
    range.upload(host.data(), range.count);
  }
}

ASHLAR_ONCE void check_nothing_left_over(const TensorIndex& index, std::span<const StateRange> ranges,
                                         Communicator world) {
  std::map<std::string_view, std::size_t> numbers;
  for (const auto& [name, tensor] : index.tensors()) numbers.emplace(name, numbers.size());
  std::vector<std::int32_t> asked_for(numbers.size() + 1);
  for (const StateRange& range : ranges)
    for (const UnitLayout::Entry& e : range.layout->entries())
      if (const auto it = numbers.find(range.prefix + e.info.name); it != numbers.end()) asked_for[it->second] = 1;
  world.reduce_values(std::span(asked_for), Reduce::max);
  for (const auto& [name, number] : numbers)
    if (!asked_for[number] && !is_optimizer_state(name))
      fail(concat("the checkpoint has a tensor ", name, ", which this model has not; check --model.flavor"));
}

}  // namespace ashlar::inline v0
