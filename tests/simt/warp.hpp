// Collectives of a warp: the lanes of a mask meet, exchange words, and go on together; other lanes are not concerned.
// Used by simt/simt.hpp. Read next: simt/block.hpp (how a thread waits).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "simt/block.hpp"

namespace ashlar::inline v0::simt::detail {

enum class Collective : std::uint8_t { sync, shuffle, shuffle_xor, shuffle_down, shuffle_up, ballot, match };

inline std::string to_string(Collective kind) {
  constexpr std::array names = {"sync_warp",  "shuffle", "shuffle_xor", "shuffle_down",
                                "shuffle_up", "a vote",  "match_any"};
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
    const int thread = block.current(), lane = thread % 32, first = thread - lane;
    if (!(mask >> lane & 1u))
      block.fault(concat(kind, ": the caller, lane ", lane, ", isn't in its own mask ", hex(mask)), where);
    for (int other = 0; other < 32; ++other)
      if ((mask >> other & 1u) && block.exited(first + other))
        block.fault(concat(kind, ": lane ", other, " of the mask ", hex(mask), " has exited"), where);

    Meeting& meeting = join(block, kind, mask, lane, where);
    meeting.offer[static_cast<std::size_t>(lane)] = &offer;
    meeting.arrived |= 1u << lane;
    if (meeting.arrived != mask) {
      block.wait(&Warp::reason, where);
      return;
    }
    meeting.arrived = 0;  // free for the next collective: the others only read their offers
    exchange(block, meeting, where);
    if (kind == Collective::sync)
      block.shared_memory().clocks().met(first, first + 32, [&](auto&& f) {
        for (int other = 0; other < 32; ++other)
          if (mask >> other & 1u) f(first + other);
      });
    for (int other = 0; other < 32; ++other)
      if ((mask >> other & 1u) && other != lane) block.wake(first + other);
  }

  /// Called when a thread exits: faults if other lanes wait for it.
  void check_exit(const Block& block, int lane) const {
    for (const Meeting& meeting : meetings_)
      if (meeting.arrived && (meeting.mask >> lane & 1u))
        block.fault(concat("the thread exited while ", std::popcount(meeting.arrived), " lanes wait for it in ",
                           meeting.kind, " with mask ", hex(meeting.mask)),
                    meeting.where);
  }

  void begin_block() {
    for (Meeting& meeting : meetings_) meeting.arrived = 0;
  }

 private:
  struct Meeting {
    Collective kind = Collective::sync;
    unsigned mask = 0, arrived = 0;  // arrived 0: not in use
    Site where;
    std::array<Offer*, 32> offer = {};
  };

  static std::string hex(unsigned mask) {
    std::string out = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[mask >> shift & 15u];
    return out;
  }

  /// The meeting that these lanes have begun, or a new one. Meetings under way have disjoint masks.
  Meeting& join(const Block& block, Collective kind, unsigned mask, int lane, Site where) {
    Meeting* free = nullptr;
    for (Meeting& meeting : meetings_) {
      if (!meeting.arrived) {
        if (!free) free = &meeting;
        continue;
      }
      if (!(meeting.mask & mask)) continue;
      if (meeting.mask == mask && meeting.kind == kind && meeting.where == where) return meeting;
      block.fault(concat(kind, " of lane ", lane, " with mask ", hex(mask), ", while ", std::popcount(meeting.arrived),
                         " lanes of its warp wait in ", meeting.kind, " with mask ", hex(meeting.mask), " at ",
                         meeting.where, meeting.mask != mask ? ": the masks differ" : ": the call sites differ"),
                  where);
    }
    free->kind = kind;
    free->mask = mask;
    free->where = where;
    return *free;
  }

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
        case Collective::sync: continue;
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
    for (const Meeting& meeting : block.warp_of(thread).meetings_)
      if (meeting.arrived >> (thread % 32) & 1u) {
        std::string missing;
        for (unsigned rest = meeting.mask & ~meeting.arrived; rest; rest &= rest - 1)
          missing += concat(missing.empty() ? "" : ", ", std::countr_zero(rest));
        return concat("in ", meeting.kind, " with mask ", hex(meeting.mask), " for lanes ", missing);
      }
    return "in a collective";
  }

  std::array<Meeting, 32> meetings_;  // at most one a lane
};

}  // namespace ashlar::inline v0::simt::detail
