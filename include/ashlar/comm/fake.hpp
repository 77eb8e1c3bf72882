// Fake: one rank of a world of any size, alone. It counts what the rank would send and moves nothing between ranks;
// with device/meta.hpp it is how `plan` knows the traffic of a step on 512 ranks. Read next: mesh/mesh.hpp.
#pragma once

#include <bit>
#include <map>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/comm/operation.hpp"
#include "ashlar/comm/reduce.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// What one rank sent, by group name (an axis of the mesh, "world", ...). Groups of the same name add up.
struct FakeCounts {
  struct Traffic {
    std::int64_t messages = 0, bytes = 0;
    friend Traffic operator+(Traffic a, Traffic b) { return {a.messages + b.messages, a.bytes + b.bytes}; }
    friend bool operator==(Traffic, Traffic) = default;
  };
  std::map<std::string, Traffic> axes;

  /// Of one axis; zero for one that was never used.
  Traffic operator[](const std::string& axis) const {
    const auto found = axes.find(axis);
    return found == axes.end() ? Traffic{} : found->second;
  }
  Traffic total() const {
    Traffic sum;
    for (const auto& [name, traffic] : axes) sum = sum + traffic;
    return sum;
  }
};

/// Counts the messages and bytes that this rank sends. For n ranks and a buffer of b bytes (of all_gather and
/// reduce_scatter the whole one, n * count elements), on a ring:
///
///   operation        messages               bytes
///   all_reduce       2 (n - 1)              2 (n - 1) b / n, rounded up
///   all_gather       n - 1                  (n - 1) b / n
///   reduce_scatter   n - 1                  (n - 1) b / n
///   all_to_all       ranks that get some    what the other ranks get
///   broadcast        1, 0 for the last      b, 0 for the last of the ring, which starts at the root
///   send             1                      b
///   receive          0                      0
///   barrier          ceil(log2 n)           0
///
/// Buffers may be null: nothing is touched. Real buffers get what they would if all ranks held the data of this one: a
/// sum is n times the value, a gather is n copies. A receive gives zeros.
struct Fake {
  /// The world of `size` ranks as seen by `rank`; the caller keeps `counts` and reads it when it likes. One thread.
  /// `meta_float` is what a MetaFloat counts as.
  static Communicator world(int rank, int size, std::shared_ptr<FakeCounts> counts, DType meta_float = DType::f32);
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/comm/fake.ipp"
#endif
