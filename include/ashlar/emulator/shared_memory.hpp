// Checks on the shared memory of a block: reads of bytes that nobody wrote, and data races. Barriers advance the
// clocks. Read next: emulator/races.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "ashlar/emulator/fault.hpp"
#include "ashlar/emulator/global_memory.hpp"
#include "ashlar/emulator/pieces.hpp"
#include "ashlar/emulator/races.hpp"

namespace ashlar::inline v0::simt::detail {

class SharedMemory {
 public:
  SharedMemory(void* base, std::size_t bytes, int threads)
      : base_(static_cast<std::byte*>(base)),
        bytes_(bytes),
        threads_(threads),
        clocks_(threads),
        written_(bytes),
        touched_(bytes / Pieces::bytes + 1),
        cells_(static_cast<TouchedElement*>(std::calloc(std::max<std::size_t>(bytes, 1), sizeof(TouchedElement)))) {
    if (!cells_) throw std::bad_alloc();
  }

  Clocks& clocks() { return clocks_; }
  const Clocks& clocks() const { return clocks_; }
  std::byte* base() { return base_; }
  std::size_t bytes() const { return bytes_; }
  std::size_t offset(const void* p) const { return static_cast<std::size_t>(static_cast<const std::byte*>(p) - base_); }
  /// Made when an asynchronous operation is first used.
  Pieces& pieces() {
    if (!pieces_) pieces_ = std::make_unique<Pieces>(bytes_, threads_);
    return *pieces_;
  }
  std::uint8_t* written(std::size_t offset) { return written_.data() + offset; }
  bool contains(const void* p) const { return p >= base_ && p < base_ + bytes_; }

  /// A block begins: nothing is written, nobody has touched anything.
  void begin_block() {
    std::memset(base_, 0xff, bytes_);
    std::fill(touched_.begin(), touched_.end(), std::uint8_t{0});
    std::fill(written_.begin(), written_.end(), std::uint8_t{0});
    clocks_.begin_block();
    if (pieces_) pieces_->begin_block();
    barriers_.clear();
    ++block_;
  }

  /// Why thread t can't access the bytes; empty if it can, and then the access is on record.
  std::string access_fault(const void* p, std::size_t bytes, std::size_t alignment, Access access, int t, Site where) {
    const auto offset = this->offset(p);
    if (bytes > bytes_ - offset) return concat(to_string(access), " beyond the end of shared memory");
    if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0)
      return concat("shared memory: the address of the ", to_string(access), " isn't aligned to the type");
    if (pieces_)
      for (std::size_t i = offset / Pieces::bytes * Pieces::bytes; i < offset + bytes; i += Pieces::bytes) {
        const auto& piece = pieces_->at(i);
        if (piece.barrier && barrier_at(offset, bytes))
          return concat(to_string(access), " of shared memory in which an mbarrier lies: ptx::invalidate it first");
        if (auto why = pieces_->thread_fault(piece, access, t, clocks_); !why.empty()) return why;
      }
    for (std::size_t i = offset / Pieces::bytes; i <= (offset + bytes - 1) / Pieces::bytes; ++i) touched_[i] = 1;
    if (access != Access::write && std::memchr(written_.data() + offset, 0, bytes))
      return concat(to_string(access), " of shared memory that was not written since the block began");
    // An element is known by the first byte of it; wide accesses touch every second byte, as the smallest elements have
    // two.
    for (std::size_t i = 0; i < bytes; i += 2)
      if (auto race = touch(cells_.get()[offset + i], access, t, where); !race.empty()) return race;
    if (access != Access::read) std::memset(written_.data() + offset, 1, bytes);
    return {};
  }

  /// Why the agent, started by these threads, can't access the pieces from offset on (both multiples of 16); empty if
  /// it can, and then the access is on record. What threads wrote there must be ordered before and fenced.
  std::string agent_fault(std::size_t offset, std::size_t bytes, bool reads, std::span<const int> threads,
                          const AgentAccess& now) {
    Pieces& all = pieces();
    if (offset > bytes_ || bytes > bytes_ - offset) return "beyond the end of shared memory";
    for (std::size_t i = offset; i < offset + bytes; i += Pieces::bytes) {
      auto& piece = all.at(i);
      if (piece.barrier && barrier_at(i, Pieces::bytes)) return "an mbarrier lies in this shared memory";
      for (const int t : threads) {
        if (auto why = all.agent_fault(piece, reads, t, clocks_); !why.empty()) return why;
        if (touched_[i / Pieces::bytes])
          if (auto why = after_threads(i, reads, t); !why.empty()) return why;
      }
      if (reads) {
        all.record_read(piece, now);
      } else {
        all.record_write(piece, now);
        touched_[i / Pieces::bytes] = 0;
      }
    }
    return {};
  }

  /// An mbarrier of 8 bytes comes to lie at the offset, or is gone.
  void set_barrier(std::size_t offset, bool there) {
    if (there)
      barriers_.push_back(offset);
    else
      std::erase(barriers_, offset);
    pieces().at(offset).barrier = barrier_at(offset / 16 * 16, 16);
  }

 private:
  bool barrier_at(std::size_t offset, std::size_t bytes) const {
    return std::any_of(barriers_.begin(), barriers_.end(),
                       [&](std::size_t b) { return b < offset + bytes && offset < b + 8; });
  }

  /// Why an agent of thread t can't follow what threads did to a piece; empty if it can. It writes: they are forgotten.
  std::string after_threads(std::size_t offset, bool reads, int t) {
    for (std::size_t i = 0; i < Pieces::bytes && offset + i < bytes_; ++i) {
      TouchedElement& element = cells_.get()[offset + i];
      const auto ours = [&](const Touch& touch) { return touch.block == block_; };
      const auto unseen = [&](const Touch& touch) {
        return ours(touch) && !clocks_.seen(t, touch.thread, touch.epoch, touch.clock);
      };
      if (unseen(element.write))
        return concat("race in shared memory: thread ", element.write.thread, " writes here at ", element.write.where,
                      " with nothing between that orders them");
      if (ours(element.write) &&
          !pieces().fenced(element.write.thread, element.write.epoch, element.write.clock, t, clocks_))
        return concat("missing proxy fence: thread ", element.write.thread, " wrote here at ", element.write.where,
                      " and has not called ptx::fence_async before the barrier that orders the two");
      if (reads) continue;
      for (const Touch& read : element.read)
        if (unseen(read))
          return concat("race in shared memory: thread ", read.thread, " reads here at ", read.where,
                        " with nothing between that orders them");
      element = {};
    }
    return {};
  }

  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  std::string touch(TouchedElement& element, Access access, int t, Site where) {
    const Touch now{block_, clocks_.epoch(), clocks_.of(t), static_cast<std::int16_t>(t), access, where};
    const Touch* earlier = element.touch(now, [&](const Touch& before) {
      return before.block == block_ && !clocks_.seen(t, before.thread, before.epoch, before.clock);
    });
    if (!earlier) return {};
    return concat("race in shared memory: ", to_string(access), " by thread ", t, " and ", to_string(earlier->access),
                  " by thread ", earlier->thread, " at ", earlier->where, " with no barrier between");
  }

  std::byte* base_;
  std::size_t bytes_;
  int threads_;
  std::uint32_t block_ = 0;
  Clocks clocks_;
  std::vector<std::uint8_t> written_;
  std::vector<std::uint8_t> touched_;              // pieces that threads accessed since an agent wrote them
  std::unique_ptr<TouchedElement[], Free> cells_;  // one a byte, touched pages only
  std::unique_ptr<Pieces> pieces_;
  std::vector<std::size_t> barriers_;  // offsets of the live ones
};

}  // namespace ashlar::inline v0::simt::detail
