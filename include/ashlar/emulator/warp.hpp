// Collectives of a warp: the lanes of a mask meet, exchange words, and go on together; other lanes are not concerned.
// Read next: emulator/block.hpp (how a thread waits).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "ashlar/emulator/block.hpp"

namespace ashlar::inline v0::simt::detail {

enum class Collective : std::uint8_t {
  sync,
  shuffle,
  shuffle_xor,
  shuffle_down,
  shuffle_up,
  ballot,
  match,
  elect,
  ldmatrix,
  stmatrix,
  mma
};

inline std::string to_string(Collective kind) {
  constexpr std::array names = {"sync_warp", "shuffle",    "shuffle_xor",   "shuffle_down",  "shuffle_up", "a vote",
                                "match_any", "ptx::elect", "ptx::ldmatrix", "ptx::stmatrix", "ptx::mma"};
  return names[static_cast<std::size_t>(kind)];
}

/// What one lane brings to a collective and takes from it.
struct Offer {
  std::uint64_t word = 0;  // the value; a vote's predicate
  int argument = 0;        // the lane, lanes or delta of a shuffle
  std::uint64_t result = 0;
};

class Warp {
 public:
  /// The calling thread, of this warp, takes part; returns once all lanes of `mask` did.
  void meet(Block& block, Collective kind, unsigned mask, Offer& offer, Site where) {
    meet(block, kind, mask, offer, where, [&](Meeting& meeting) { exchange(block, meeting, where); });
  }
  /// The same of all lanes; the last one to come calls combine(offers), an array of 32 pointers.
  template <class Combine>
  void meet_all(Block& block, Collective kind, Offer& offer, Site where, Combine&& combine) {
    meet(block, kind, 0xffffffffu, offer, where, [&](Meeting& meeting) { combine(meeting.offer); });
  }

 private:
  struct Meeting {
    Collective kind = Collective::sync;
    unsigned mask = 0, arrived = 0;
    Site where;
    std::array<Offer*, 32> offer = {};
  };

  template <class Combine>
  void meet(Block& block, Collective kind, unsigned mask, Offer& offer, Site where, Combine&& combine) {
    const int thread = block.current(), lane = thread % 32, first = thread - lane;
    if (!(mask >> lane & 1u))
      block.fault(concat(kind, ": the caller, lane ", lane, ", isn't in its own mask ", hex(mask)), where);
    if (const unsigned gone = mask & exited_)
      block.fault(concat(kind, ": lane ", std::countr_zero(gone), " of the mask ", hex(mask), " has exited"), where);

    Meeting& meeting = join(block, kind, mask, lane, where);
    meeting.offer[static_cast<std::size_t>(lane)] = &offer;
    meeting.arrived |= 1u << lane;
    if (meeting.arrived != mask) {
      block.wait(&Warp::reason, where);
      return;
    }
    close(meeting);  // free for the next collective: the others only read their offers
    combine(meeting);
    if (kind == Collective::sync)
      block.shared_memory().clocks().met(first, first + 32, [&](auto&& f) {
        for (unsigned rest = mask; rest; rest &= rest - 1) f(first + std::countr_zero(rest));
      });
    block.wake_lanes(first, mask);
  }

 public:
  /// The thread of `lane` exits: faults if other lanes wait for it.
  void leave(const Block& block, int lane) {
    exited_ |= 1u << lane;
    for (unsigned rest = open_; rest; rest &= rest - 1)
      if (const Meeting& meeting = meetings_[static_cast<std::size_t>(std::countr_zero(rest))];
          meeting.mask >> lane & 1u)
        block.fault(concat("the thread exited while ", std::popcount(meeting.arrived), " lanes wait for it in ",
                           meeting.kind, " with mask ", hex(meeting.mask)),
                    meeting.where);
  }

  void begin_block() { open_ = exited_ = 0; }

 private:
  static std::string hex(unsigned mask) {
    std::string out = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[mask >> shift & 15u];
    return out;
  }

  /// The meeting that these lanes have begun, or a new one. Meetings under way have disjoint masks.
  Meeting& join(const Block& block, Collective kind, unsigned mask, int lane, Site where) {
    for (unsigned rest = open_; rest; rest &= rest - 1) {
      Meeting& meeting = meetings_[static_cast<std::size_t>(std::countr_zero(rest))];
      if (!(meeting.mask & mask)) continue;
      if (meeting.mask == mask && meeting.kind == kind && meeting.where == where) return meeting;
      block.fault(concat(kind, " of lane ", lane, " with mask ", hex(mask), ", while ", std::popcount(meeting.arrived),
                         " lanes of its warp wait in ", meeting.kind, " with mask ", hex(meeting.mask), " at ",
                         meeting.where, meeting.mask != mask ? ": the masks differ" : ": the call sites differ"),
                  where);
    }
    const int slot = std::countr_one(open_);  // there is one: open meetings have disjoint, non-empty masks
    open_ |= 1u << slot;
    Meeting& meeting = meetings_[static_cast<std::size_t>(slot)];
    meeting.kind = kind;
    meeting.mask = mask;
    meeting.arrived = 0;
    meeting.where = where;
    return meeting;
  }
  void close(const Meeting& meeting) { open_ &= ~(1u << (&meeting - meetings_.data())); }

  static void exchange(const Block& block, Meeting& meeting, Site where) {
    unsigned votes = 0;
    for (unsigned rest = meeting.mask; rest; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      if (meeting.offer[static_cast<std::size_t>(lane)]->word) votes |= 1u << lane;
    }
    for (unsigned rest = meeting.mask; rest; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      Offer& mine = *meeting.offer[static_cast<std::size_t>(lane)];
      int source = lane;
      switch (meeting.kind) {
        default: continue;
        case Collective::ballot: mine.result = votes; continue;
        case Collective::match:
          mine.result = 0;
          for (unsigned others = meeting.mask; others; others &= others - 1)
            if (const int other = std::countr_zero(others);
                meeting.offer[static_cast<std::size_t>(other)]->word == mine.word)
              mine.result |= 1u << other;
          continue;
        case Collective::shuffle: source = mine.argument; break;
        case Collective::shuffle_xor: source = lane ^ mine.argument; break;
        case Collective::shuffle_down: source = lane + mine.argument > 31 ? lane : lane + mine.argument; break;
        case Collective::shuffle_up: source = lane - mine.argument < 0 ? lane : lane - mine.argument; break;
      }
      if (source < 0 || source > 31 || !(meeting.mask >> source & 1u))
        block.fault(concat(meeting.kind, ": lane ", lane, " reads lane ", source, ", which isn't in the mask ",
                           hex(meeting.mask)),
                    where);
      mine.result = meeting.offer[static_cast<std::size_t>(source)]->word;
    }
  }

  static std::string reason(const Block& block, int thread) {
    const Warp& warp = block.warp_of(thread);
    for (unsigned open = warp.open_; open; open &= open - 1)
      if (const Meeting& meeting = warp.meetings_[static_cast<std::size_t>(std::countr_zero(open))];
          meeting.arrived >> (thread % 32) & 1u) {
        std::string missing;
        for (unsigned rest = meeting.mask & ~meeting.arrived; rest; rest &= rest - 1)
          missing += concat(missing.empty() ? "" : ", ", std::countr_zero(rest));
        return concat("in ", meeting.kind, " with mask ", hex(meeting.mask), " for lanes ", missing);
      }
    return "in a collective";
  }

  unsigned open_ = 0;    // which meetings are under way
  unsigned exited_ = 0;  // lanes
  std::array<Meeting, 32> meetings_;
};

}  // namespace ashlar::inline v0::simt::detail
