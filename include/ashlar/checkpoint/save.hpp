// Saving: every rank writes the pieces it owns into a file of its own; when all have, rank 0 writes the manifest that
// makes them a checkpoint. Read next: checkpoint/load.hpp.
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
#include "ashlar/core/platform.hpp"

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
std::uint64_t write_rank_file(const std::filesystem::path& path, std::span<const StateRange> ranges,
                              std::optional<DType> type);

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
void save_checkpoint(const std::filesystem::path& folder, std::span<const StateRange> ranges, Manifest manifest,
                     Communicator world, std::optional<DType> type = {});

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/save.ipp"
#endif
