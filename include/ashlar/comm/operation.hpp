// Operation: what a rank asked for when it called a communicator, comparable between ranks and readable in errors. Read
// next: comm/reduce.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ashlar/comm/backend.hpp"

namespace ashlar::inline v0 {

/// One call. Two ranks made the same call of a collective when their Operations are equal.
struct Operation {
  enum class Kind { all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, barrier, send, receive, group };

  Kind kind;
  index_t count = 0;        // elements, as the call has them; 0 for all_to_all, where each rank has its own
  DType type = DType::u8;   // of the elements
  Reduce op = Reduce::sum;  // of reductions
  int peer = 0;             // of send and receive; the root of a broadcast
  Channel channel = {};     // of send and receive
  friend bool operator==(const Operation&, const Operation&) = default;
};

constexpr std::string_view to_string(Operation::Kind kind) {
  constexpr std::string_view names[] = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast",
                                        "barrier",    "send",       "receive",        "group"};
  return names[static_cast<int>(kind)];
}

/// "channel 5", "channel 5 (gradients)", "channel 5, stream 1".
inline std::string to_string(const Channel& c) {
  return concat("channel ", c.boundary, c.gradient ? " (gradients)" : "",
                c.stream ? concat(", stream ", c.stream) : std::string());
}

/// "all_reduce (sum) of 1000 F32", "receive of 8 BF16 from rank 2 on channel 5".
inline std::string to_string(const Operation& o) {
  using Kind = Operation::Kind;
  std::string out(to_string(o.kind));
  if (o.kind == Kind::barrier || o.kind == Kind::group) return out;
  if (o.kind == Kind::all_reduce || o.kind == Kind::reduce_scatter) out += o.op == Reduce::sum ? " (sum)" : " (max)";
  out +=
      o.kind == Kind::all_to_all ? concat(" of ", to_string(o.type)) : concat(" of ", o.count, " ", to_string(o.type));
  if (o.kind == Kind::broadcast) out += concat(" from rank ", o.peer);
  if (o.kind == Kind::send) out += concat(" to rank ", o.peer, " on ", to_string(o.channel));
  if (o.kind == Kind::receive) out += concat(" from rank ", o.peer, " on ", to_string(o.channel));
  return out;
}

namespace detail {

/// How every communication error begins. `rank` is the rank in the world; peers and roots count within the group.
inline std::string comm_error_start(int rank, std::int64_t step, std::string_view group, const Operation& operation) {
  return concat("rank ", rank, ", step ", step, ", group ", group, ", ", to_string(operation), ": ");
}

/// "rank 3" or "ranks 1, 2, 5".
inline std::string rank_list(std::span<const int> ranks) {
  std::string out = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) out += concat(i ? ", " : "", ranks[i]);
  return out;
}

}  // namespace detail
}  // namespace ashlar::inline v0
