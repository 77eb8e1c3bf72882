// mbarriers, as device/cuda/ptx/barrier.cuh has them: phases, pending arrivals, pending bytes, who waits. A barrier's
// word in shared memory stays unused; its state is here. Read next: emulator/bulk_copy.hpp.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ashlar/emulator/block.hpp"

namespace ashlar::inline v0 {

namespace ptx {
/// A member of Kernel::Shared.
struct Barrier {
  std::uint64_t word;
};
}  // namespace ptx

namespace simt::detail {

struct MBarrier {
  int agent = 0;  // what stands for the copies that count here: its clock is the number of the phase, from 1
  int arrivals = 0, pending = 0;
  std::int64_t bytes = 0;
  std::uint32_t ended = 0;  // phases
  bool fenced = false;
  int maker = 0;
  std::uint32_t epoch = 0, clock = 0;  // of the maker, when it was made
  Site where;
  Sight arriving, released;  // what the arrivals of this phase, and of the last one, have seen
  struct Waiter {
    int thread, parity;
  };
  std::vector<Waiter> waiting;
  std::vector<int> woken;                  // by the end of the last phase, and not yet on
  std::map<int, std::int64_t> waited_for;  // thread: the phase it waited for last
};

class MBarriers {
 public:
  static constexpr int most_arrivals = (1 << 20) - 1;

  void init(Block& block, const void* p, int arrivals, Site where) {
    const std::size_t at = place(block, p, where);
    if (arrivals < 1 || arrivals > most_arrivals) block.fault(concat("an mbarrier for ", arrivals, " arrivals"), where);
    if (table_.contains(at)) block.fault("init of an mbarrier in use: ptx::invalidate it first", where);
    SharedMemory& shared = block.shared_memory();
    if (const auto why = shared.access_fault(p, 8, 8, Access::write, block.current(), where); !why.empty())
      block.fault(why, where);
    MBarrier& barrier = table_[at];
    barrier.agent = shared.clocks().add_agent();
    shared.pieces().name(barrier.agent, concat("a copy that counts at the mbarrier of ", where));
    barrier.arrivals = barrier.pending = arrivals;
    barrier.maker = block.current();
    barrier.epoch = shared.clocks().epoch();
    barrier.clock = shared.clocks().of(block.current());
    barrier.where = where;
    shared.set_barrier(at, true);
  }
  void fence_init(Block& block) {
    for (auto& [at, barrier] : table_)
      if (barrier.maker == block.current()) barrier.fenced = true;
  }
  void invalidate(Block& block, const void* p, Site where) {
    const std::size_t at = place(block, p, where);
    const MBarrier& barrier = find(block, at, where);
    if (!barrier.waiting.empty()) block.fault("ptx::invalidate of an mbarrier that threads wait at", where);
    if (barrier.bytes != 0) block.fault("ptx::invalidate of an mbarrier that copies are to arrive at", where);
    table_.erase(at);
    block.shared_memory().set_barrier(at, false);
  }

  std::size_t place(Block& block, const void* p, Site where) const {
    SharedMemory& shared = block.shared_memory();
    if (!shared.contains(p)) block.fault("an mbarrier outside of shared memory", where);
    const std::size_t at = shared.offset(p);
    if (static_cast<int>(at / block.shared_stride()) != block.rank())
      block.fault("an mbarrier of another block is reached by arrive_remote alone", where);
    return at;
  }
  /// The barrier at an offset, for use by the running thread.
  MBarrier& find(Block& block, std::size_t at, Site where, bool from_afar = false) {
    const auto found = table_.find(at);
    if (found == table_.end()) block.fault("no mbarrier was made here: ptx::init it, and sync, first", where);
    MBarrier& barrier = found->second;
    if (!block.shared_memory().clocks().seen(block.current(), barrier.maker, barrier.epoch, barrier.clock))
      block.fault(concat("use of an mbarrier that ", block.name_of(barrier.maker), " makes at ", barrier.where,
                         ": a barrier must come between"),
                  where);
    if (from_afar && !barrier.fenced)
      block.fault(concat("the mbarrier made at ", barrier.where,
                         " is not yet one for copies and other blocks: ptx::fence_barrier_init by its maker"),
                  where);
    return barrier;
  }

  void arrive(Block& block, std::size_t at, std::int64_t bytes, bool from_afar, Site where) {
    MBarrier& barrier = find(block, at, where, from_afar);
    expect(block, barrier, bytes, where);
    if (barrier.pending == 0)
      block.fault(concat("more arrivals than the ", barrier.arrivals, " of a phase, which still waits for ",
                         barrier.bytes, " bytes; the mbarrier was made at ", barrier.where),
                  where);
    block.shared_memory().clocks().release(block.current(), barrier.arriving);
    --barrier.pending;
    end_phase(block, barrier, block.current(), where);
  }
  void expect(Block& block, MBarrier& barrier, std::int64_t bytes, Site where) const {
    barrier.bytes += bytes;
    if (bytes < 0 || std::llabs(barrier.bytes) > most_arrivals)
      block.fault(concat("an mbarrier can't expect ", barrier.bytes, " bytes"), where);
  }
  /// An arrival that thread `thread` has asked for earlier, with what it had seen then.
  void arrive_later(Block& block, std::size_t at, const Sight& sight, int thread, Site where) {
    const auto found = table_.find(at);
    if (found == table_.end() || found->second.pending == 0)
      block.fault_of(thread, "arrive_after_copies: the mbarrier takes no more arrivals in this phase", where);
    MBarrier& barrier = found->second;
    barrier.arriving.resize(std::max(barrier.arriving.size(), sight.size()));
    for (std::size_t i = 0; i < sight.size(); ++i) barrier.arriving[i] = std::max(barrier.arriving[i], sight[i]);
    --barrier.pending;
    end_phase(block, barrier, thread, where);
  }
  /// A copy that thread `thread` started in phase `phase` has come.
  void complete(Block& block, std::size_t at, std::int64_t bytes, std::uint32_t phase, int thread, Site where) {
    const auto found = table_.find(at);
    if (found == table_.end()) block.fault_of(thread, "a copy has arrived, and its mbarrier is gone", where);
    MBarrier& barrier = found->second;
    if (barrier.ended != phase)
      block.fault_of(thread,
                     concat("wrong byte count: a copy of ", bytes,
                            " bytes has arrived after the phase it was started in; the mbarrier made at ",
                            barrier.where, " was told to expect too few bytes"),
                     where);
    barrier.bytes -= bytes;
    end_phase(block, barrier, thread, where);
  }

  /// Whether the phase of `parity` is over; if not, waits for it.
  bool wait(Block& block, std::size_t at, int parity, bool for_a_while, Site where) {
    MBarrier& barrier = find(block, at, where);
    if (parity != 0 && parity != 1) block.fault(concat("an mbarrier's parity is 0 or 1, not ", parity), where);
    const int t = block.current();
    if ((barrier.ended & 1u) != static_cast<unsigned>(parity)) {
      note(block, barrier, t, std::int64_t{barrier.ended} - 1, where);
      block.shared_memory().clocks().acquire(t, barrier.released);
      return true;
    }
    barrier.waiting.push_back({t, parity});
    bool over = true;
    if (for_a_while)
      over = block.wait_a_while(&MBarriers::reason, where);
    else
      block.wait(&MBarriers::reason, where);
    if (over)
      std::erase(barrier.woken, t);
    else
      std::erase_if(barrier.waiting, [&](const auto& waiter) { return waiter.thread == t; });
    return over;
  }

 private:
  void note(Block& block, MBarrier& barrier, int t, std::int64_t phase, Site where) const {
    const auto [last, fresh] = barrier.waited_for.try_emplace(t, phase);
    if (!fresh && last->second == phase)
      block.fault_of(t,
                     concat("a phase waited on twice: phase ", phase, " of the mbarrier made at ", barrier.where,
                            " is over, and this thread knew; its parity was not turned"),
                     where);
    last->second = phase;
  }
  void end_phase(Block& block, MBarrier& barrier, int thread, Site where) const {
    if (barrier.pending > 0 || barrier.bytes > 0) return;
    if (barrier.bytes < 0)
      block.fault_of(thread,
                     concat("wrong byte count: ", -barrier.bytes, " bytes more have come than the mbarrier made at ",
                            barrier.where, " was told to expect"),
                     where);
    if (!barrier.woken.empty())
      block.fault_of(thread,
                     concat("phase ", barrier.ended, " of the mbarrier made at ", barrier.where, " ends before ",
                            block.name_of(barrier.woken.front()), ", which waits for the phase before, went on: by ",
                            "parity it may miss it"),
                     where);
    barrier.pending = barrier.arrivals;
    barrier.released.swap(barrier.arriving);
    barrier.arriving.clear();
    barrier.released.resize(std::max(barrier.released.size(), static_cast<std::size_t>(barrier.agent) + 1));
    const std::uint32_t phase = barrier.ended++;
    barrier.released[static_cast<std::size_t>(barrier.agent)] = barrier.ended;
    std::erase_if(barrier.waiting, [&](const MBarrier::Waiter& waiter) {
      if (static_cast<std::uint32_t>(waiter.parity) != (phase & 1u)) return false;
      note(block, barrier, waiter.thread, phase, where);
      block.shared_memory().clocks().acquire(waiter.thread, barrier.released);
      barrier.woken.push_back(waiter.thread);
      block.wake(waiter.thread);
      return true;
    });
  }
  static std::string reason(const Block& block, int thread);

  std::map<std::size_t, MBarrier> table_;  // by offset in the cluster's shared memory
};

}  // namespace simt::detail
}  // namespace ashlar::inline v0
