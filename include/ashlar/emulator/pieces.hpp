// What the copy engine and wgmma have done to shared memory, in pieces of 16 bytes, the unit that they touch. They work
// beside the threads and reach memory by a proxy of their own, so two rules hold: who follows them must have waited for
// them, and what threads wrote must have been fenced (ptx::fence_async) before they follow. Read next:
// emulator/mbarrier.hpp, emulator/wgmma.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ashlar/emulator/races.hpp"

namespace ashlar::inline v0::simt::detail {

/// One access by an agent: of the copy engine or of a warpgroup's products. Its clock says which wait covers it.
struct AgentAccess {
  int agent = 0;
  std::uint32_t clock = 0;
  Site where;
};

class Pieces {
 public:
  static constexpr std::size_t bytes = 16;

  /// What a piece remembers.
  struct Piece {
    std::int16_t writer = 0;   // the agent; 0: none (agents are numbered above threads)
    std::int16_t copier = -1;  // the thread whose cp.async is on its way here
    std::uint16_t write_site = 0;
    bool barrier = false;  // an mbarrier lies here
    std::uint32_t write_clock = 0;
    struct Read {
      std::int16_t agent = 0;
      std::uint16_t site = 0;
      std::uint32_t clock = 0;
    };
    std::array<Read, 4> reads;
  };

  Pieces(std::size_t shared_bytes, int threads)
      : pieces_((shared_bytes + bytes - 1) / bytes), fences_(static_cast<std::size_t>(threads)) {}

  Piece& at(std::size_t offset) { return pieces_[offset / bytes]; }

  void begin_block() {
    std::fill(pieces_.begin(), pieces_.end(), Piece{});
    for (auto& fences : fences_) fences.clear();
    agents_.clear();
    first_agent_ = 0;
  }

  /// Names the agent that Clocks::add_agent gave.
  void name(int agent, std::string text) {
    if (agents_.empty()) first_agent_ = agent;
    agents_.push_back(std::move(text));
  }

  /// Thread t makes what it wrote until now visible to agents.
  void fence(int t, Clocks& clocks) {
    auto& fences = fences_[static_cast<std::size_t>(t)];
    fences.push_back({clocks.epoch(), clocks.tick(t)});
  }
  /// Whether thread `by` has seen a fence of thread t that came after (epoch, clock) of t.
  bool fenced(int t, std::uint32_t epoch, std::uint32_t clock, int by, const Clocks& clocks) const {
    const auto& fences = fences_[static_cast<std::size_t>(t)];
    const auto first = std::lower_bound(fences.begin(), fences.end(), Fence{epoch, clock});
    return first != fences.end() && clocks.seen(by, t, first->epoch, first->clock + 1);
  }

  /// Why thread t can't access the piece; empty if it can.
  std::string thread_fault(const Piece& piece, Access access, int t, const Clocks& clocks) const {
    if (piece.copier >= 0)
      return concat(to_string(access), " of shared memory that a cp.async of thread ", piece.copier, " (",
                    sites_[piece.write_site], ") is on its way to: wait_copies, then a barrier, come first");
    return unseen(piece, access == Access::read, to_string(access), t, clocks);
  }

  /// Why the agent can't follow the agents before it; `t` started it. Empty if it can.
  std::string agent_fault(const Piece& piece, bool reads, int t, const Clocks& clocks) const {
    if (piece.copier >= 0)
      return concat("a cp.async of thread ", piece.copier, " (", sites_[piece.write_site],
                    ") is on its way to this shared memory");
    return unseen(piece, reads, reads ? "read" : "write", t, clocks);
  }

  void record_write(Piece& piece, const AgentAccess& now) {
    piece.writer = static_cast<std::int16_t>(now.agent);
    piece.write_clock = now.clock;
    piece.write_site = site(now.where);
    piece.reads = {};
  }
  void record_read(Piece& piece, const AgentAccess& now) {
    for (auto& read : piece.reads)
      if (read.agent == now.agent || read.agent == 0 || &read == &piece.reads.back()) {
        read = {static_cast<std::int16_t>(now.agent), site(now.where), now.clock};
        return;
      }
  }
  std::uint16_t site(const Site& where) {
    if (last_ < sites_.size() && sites_[last_] == where) return static_cast<std::uint16_t>(last_);
    for (last_ = 0; last_ < sites_.size() && !(sites_[last_] == where);) ++last_;
    if (last_ == sites_.size()) sites_.push_back(where);
    return static_cast<std::uint16_t>(last_);
  }

 private:
  struct Fence {
    std::uint32_t epoch, clock;
    friend bool operator<(const Fence& a, const Fence& b) {
      return a.epoch != b.epoch ? a.epoch < b.epoch : a.clock < b.clock;
    }
  };

  std::string unseen(const Piece& piece, bool reads, const std::string& what, int t, const Clocks& clocks) const {
    if (piece.writer != 0 && !clocks.seen_agent(t, piece.writer, piece.write_clock))
      return concat(what, " of shared memory that ", agent(piece.writer), " writes (", sites_[piece.write_site],
                    "), which the thread hasn't waited for");
    if (reads) return {};
    for (const auto& read : piece.reads)
      if (read.agent != 0 && !clocks.seen_agent(t, read.agent, read.clock))
        return concat(what, " of shared memory that ", agent(read.agent), " may still read (", sites_[read.site],
                      "): nothing that the thread has waited for says it is done");
    return {};
  }
  std::string agent(int number) const {
    const auto i = static_cast<std::size_t>(number - first_agent_);
    return i < agents_.size() ? agents_[i] : "an asynchronous operation";
  }

  std::vector<Piece> pieces_;
  std::vector<std::vector<Fence>> fences_;  // of every thread, in order
  std::vector<std::string> agents_;
  int first_agent_ = 0;
  std::vector<Site> sites_;
  std::size_t last_ = 0;
};

}  // namespace ashlar::inline v0::simt::detail
