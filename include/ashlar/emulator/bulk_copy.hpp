// The copy engine, as device/cuda/ptx/bulk_copy.cuh has it: boxes and runs of bytes, checked when they are started,
// done when the schedule says so. Read next: emulator/wgmma.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "ashlar/core/dtype.hpp"
#include "ashlar/device/cuda/tensor_map.hpp"
#include "ashlar/emulator/block.hpp"
#include "ashlar/emulator/mbarrier.hpp"

namespace ashlar::inline v0::simt::detail {

/// The part of a box that is in the array: runs of bytes in global memory, and where in the box each belongs.
struct Box {
  struct Run {
    std::byte* global;
    std::uint32_t offset, bytes;
  };
  std::vector<Run> runs;
  std::uint32_t bytes = 0;  // of the whole box
  Swizzle swizzle = Swizzle::none;
  bool is_float = false;

  /// Where byte `offset` of a box at `to` in shared memory lies: bits 4 to 6 of the address are exchanged by bits 7 on.
  std::size_t place(std::size_t to, std::uint32_t offset) const {
    const std::size_t address = to + offset;
    const std::size_t bits = swizzle == Swizzle::b128  ? 7
                             : swizzle == Swizzle::b64 ? 3
                             : swizzle == Swizzle::b32 ? 1
                                                       : 0;
    return address ^ ((address >> 7 & bits) << 4);
  }

  /// By the arithmetic of the hardware: coordinates are bounded one by one, addresses are modulo 2^64.
  template <std::size_t Rank>
  static Box of(const ptx::TensorMap& map, const std::array<int, Rank>& first) {
    Box box;
    box.bytes = static_cast<std::uint32_t>(map.box_bytes());
    box.swizzle = map.swizzle;
    box.is_float = map.is_float;
    const std::int64_t row = map.box[0], size = static_cast<std::int64_t>(map.sizes[0]);
    const std::int64_t low = std::max<std::int64_t>(0, -std::int64_t{first[0]});
    const std::int64_t high = std::min(row, size - first[0]);
    const auto element = static_cast<std::uint64_t>(map.element_bytes);
    std::int64_t rows = 1;
    for (std::size_t i = 1; i < Rank; ++i) rows *= map.box[i];
    for (std::int64_t r = 0; r < rows && low < high; ++r) {
      std::uint64_t address = map.data + static_cast<std::uint64_t>(first[0] + low) * element;
      std::int64_t rest = r;
      bool inside = true;
      for (std::size_t i = 1; i < Rank; ++i) {
        const std::int64_t at = first[i] + rest % map.box[i];
        rest /= map.box[i];
        inside = inside && at >= 0 && static_cast<std::uint64_t>(at) < map.sizes[i];
        address += static_cast<std::uint64_t>(at) * map.strides[i];
      }
      if (inside)
        box.runs.push_back({reinterpret_cast<std::byte*>(address),
                            static_cast<std::uint32_t>(static_cast<std::uint64_t>(r * row + low) * element),
                            static_cast<std::uint32_t>(static_cast<std::uint64_t>(high - low) * element)});
    }
    return box;
  }
};

/// What a store does to global memory.
enum class Storing : std::uint8_t { copy, add };

class CopyEngine {
 public:
  /// The running thread starts a load to `to` in its block, or at the same place of every block whose bit is set.
  void load(Block& block, Box box, void* to, const void* barrier, unsigned blocks, Site where) {
    SharedMemory& shared = block.shared_memory();
    const std::size_t own = place(block, to, box, where), stride = block.shared_stride();
    const std::size_t own_barrier = mbarriers_.place(block, barrier, where);
    const auto own_rank = static_cast<std::size_t>(block.rank());
    if (blocks == 0) blocks = 1u << own_rank;
    if (blocks >> block.blocks())
      block.fault(concat("multicast to blocks ", blocks, ", which the cluster has not"), where);
    struct Target {
      std::size_t to, barrier;
      std::uint32_t phase;
    };
    std::vector<Target> targets;
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(block.blocks()); ++rank) {
      if (!(blocks >> rank & 1u)) continue;
      const Target target{own + (rank - own_rank) * stride, own_barrier + (rank - own_rank) * stride, 0};
      if (rank != own_rank) block.reach(static_cast<int>(rank), where);
      const MBarrier& at = mbarriers_.find(block, target.barrier, where, true);
      const int by = block.current();
      if (const auto why = shared.agent_fault(target.to, box.bytes, false, {&by, 1}, {at.agent, at.ended + 1, where});
          !why.empty())
        block.fault(concat("a copy to shared memory: ", why), where);
      std::memset(shared.base() + target.to, 0xff, box.bytes);
      std::memset(shared.written(target.to), 0, box.bytes);
      targets.push_back({target.to, target.barrier, at.ended});
      loads_[static_cast<int>(rank)][at.agent] = {at.agent, at.ended + 1, where};
    }
    for (const Box::Run& run : box.runs)
      block.note_global(allocation(block, run, block.current(), "read", where), Access::read, where);
    block.defer([this, &block, box = std::move(box), targets, thread = block.current(), where] {
      std::vector<std::byte> data(box.bytes);
      std::vector<std::uint8_t> written(box.bytes, 1);
      for (const Box::Run& run : box.runs) {
        const Allocation& from = allocation(block, run, thread, "read", where);
        std::memcpy(data.data() + run.offset, run.global, run.bytes);
        std::memcpy(written.data() + run.offset, from.written.data() + from.offset(run.global), run.bytes);
      }
      SharedMemory& memory = block.shared_memory();
      for (const auto& target : targets) {
        for (std::uint32_t i = 0; i < box.bytes; i += Pieces::bytes) {
          const std::size_t at = box.place(target.to, i);
          std::memcpy(memory.base() + at, data.data() + i, Pieces::bytes);
          std::memcpy(memory.written(at), written.data() + i, Pieces::bytes);
        }
        mbarriers_.complete(block, target.barrier, box.bytes, target.phase, thread, where);
      }
    });
  }

  /// The running thread starts a store from `from`: some time later it is read, and later written.
  void store(Block& block, Box box, const void* from, Storing how, Site where) {
    SharedMemory& shared = block.shared_memory();
    const std::size_t at = place(block, from, box, where);
    const int thread = block.current();
    Stores& stores = of(block, thread);
    const std::uint32_t group = stores.committed + 1;
    if (const auto why = shared.agent_fault(at, box.bytes, true, {&thread, 1}, {stores.agent, group, where});
        !why.empty())
      block.fault(concat("a store from shared memory: ", why), where);
    stores.where = where;
    for (const Box::Run& run : box.runs)
      block.note_global(allocation(block, run, thread, "write", where), Access::write, where);
    ++stores.groups[group].unread, ++stores.groups[group].unwritten;
    const Touch touch = block.touch(how == Storing::add ? Access::update : Access::write, where);
    block.defer([this, &block, box = std::move(box), at, how, thread, group, touch, where] {
      SharedMemory& memory = block.shared_memory();
      std::vector<std::byte> data(box.bytes);
      std::vector<std::uint8_t> written(box.bytes);
      for (std::uint32_t i = 0; i < box.bytes; i += Pieces::bytes) {
        std::memcpy(data.data() + i, memory.base() + box.place(at, i), Pieces::bytes);
        std::memcpy(written.data() + i, memory.written(box.place(at, i)), Pieces::bytes);
      }
      for (const Box::Run& run : box.runs)
        if (std::memchr(written.data() + run.offset, 0, run.bytes))
          block.fault_of(thread, "a store of shared memory that was not written since the block began", where);
      Stores& from_thread = of(block, thread);
      --from_thread.groups[group].unread;
      wake(block, from_thread, thread);
      block.defer([this, &block, box, data = std::move(data), how, thread, group, touch, where] {
        for (const Box::Run& run : box.runs) put(block, box, run, data.data() + run.offset, how, thread, touch, where);
        Stores& writer = of(block, thread);
        --writer.groups[group].unwritten;
        wake(block, writer, thread);
      });
    });
  }

  void commit(Block& block) { ++of(block, block.current()).committed; }
  /// Until at most `pending` groups of the running thread are not read (or not written).
  void wait(Block& block, std::uint32_t pending, bool written, Site where) {
    const int thread = block.current();
    Stores& stores = of(block, thread);
    if (stores.committed <= pending) return;
    const std::uint32_t upto = stores.committed - pending;
    while (!stores.done(upto, written)) {
      stores.waiting = true;
      block.wait([](const Block&, int) -> std::string { return "for stores of its own from shared memory"; }, where);
    }
    block.shared_memory().clocks().saw_agent(thread, stores.agent, upto);
  }

  void leave(const Block& block, int thread) const {
    if (const auto found = stores_.find(thread); found != stores_.end())
      for (const auto& [group, of_group] : found->second.groups)
        if (of_group.unread > 0)
          block.fault_of(thread,
                         "the thread exits while stores of its own may still read shared memory: wait_stores_read",
                         found->second.where);
    if (const auto found = loads_.find(block.rank_of(thread));
        found != loads_.end() && block.live(block.rank_of(thread)) == 0)
      for (const auto& [agent, load] : found->second)
        if (!anyone_saw(block, block.rank_of(thread), load))
          block.fault_of(thread,
                         "the block ends, and of copies to its shared memory nothing says that they are over: a thread "
                         "must wait for their mbarrier",
                         load.where);
  }

  explicit CopyEngine(MBarriers& mbarriers) : mbarriers_(mbarriers) {}

 private:
  struct Group {
    int unread = 0, unwritten = 0;
  };
  /// Of one thread.
  struct Stores {
    int agent = 0;
    std::uint32_t committed = 0;
    std::map<std::uint32_t, Group> groups;
    bool waiting = false;
    Site where;

    bool done(std::uint32_t upto, bool written) {
      while (!groups.empty() && groups.begin()->first <= committed && groups.begin()->second.unwritten == 0)
        groups.erase(groups.begin());
      for (const auto& [group, g] : groups)
        if (group <= upto && (written ? g.unwritten : g.unread) > 0) return false;
      return true;
    }
  };

  Stores& of(Block& block, int thread) {
    auto [found, fresh] = stores_.try_emplace(thread);
    if (fresh) {
      found->second.agent = block.shared_memory().clocks().add_agent();
      block.shared_memory().pieces().name(found->second.agent, concat("a store of ", block.name_of(thread)));
    }
    return found->second;
  }
  static bool anyone_saw(const Block& block, int rank, const AgentAccess& load) {
    for (int t = rank * block.threads(); t < (rank + 1) * block.threads(); ++t)
      if (block.shared_memory().clocks().seen_agent(t, load.agent, load.clock)) return true;
    return false;
  }
  static void wake(Block& block, Stores& stores, int thread) {
    if (stores.waiting) stores.waiting = false, block.wake(thread);
  }
  static std::size_t place(Block& block, const void* p, const Box& box, Site where) {
    SharedMemory& shared = block.shared_memory();
    if (!shared.contains(p)) block.fault("the copy engine's side in shared memory isn't there", where);
    const std::size_t at = shared.offset(p);
    const std::size_t alignment = box.swizzle == Swizzle::none && box.runs.size() <= 1 ? 16 : 128;
    if (at % alignment != 0) block.fault(concat("shared memory at byte ", at, " isn't aligned to ", alignment), where);
    if (static_cast<int>(at / block.shared_stride()) != block.rank())
      block.fault("the copy engine's side in shared memory is another block's", where);
    if (box.bytes % 16 != 0) block.fault(concat("a copy of ", box.bytes, " bytes, no multiple of 16"), where);
    return at;
  }
  static Allocation& allocation(Block& block, const Box::Run& run, int thread, const char* what, Site where) {
    Allocation* found = block.allocations().find(run.global, run.bytes);
    if (!found)
      block.fault_of(thread,
                     concat("the copy engine's ", what, " of ", run.bytes, " bytes at ",
                            GlobalMemory::instance().describe(run.global), ": outside of live device memory"),
                     where);
    return *found;
  }
  static void put(Block& block, const Box& box, const Box::Run& run, const std::byte* data, Storing how, int thread,
                  const Touch& touch, Site where) {
    Allocation& to = allocation(block, run, thread, "write", where);
    if (to.constant) block.fault_of(thread, "the copy engine's write to a host array that is const", where);
    block.check_bulk_race(run.global, run.bytes, touch, std::memcmp(run.global, data, run.bytes) == 0);
    if (how == Storing::copy) {
      std::memcpy(run.global, data, run.bytes);
      to.mark(run.global, run.bytes);
      return;
    }
    if (!to.is_written(run.global, run.bytes))
      block.fault_of(thread, "the copy engine adds to memory that was never written", where);
    if (box.is_float)
      add<float>(run, data);
    else
      add<bf16>(run, data);
  }
  template <class T>
  static void add(const Box::Run& run, const std::byte* data) {
    for (std::uint32_t i = 0; i < run.bytes; i += sizeof(T)) {
      T old, more;
      std::memcpy(static_cast<void*>(&old), run.global + i, sizeof(T));
      std::memcpy(static_cast<void*>(&more), data + i, sizeof(T));
      old = T(float(old) + float(more));
      std::memcpy(run.global + i, &old, sizeof(T));
    }
  }

  MBarriers& mbarriers_;
  std::map<int, Stores> stores_;
  std::map<int, std::map<int, AgentAccess>> loads_;  // of each block of the cluster: the last of each mbarrier
};

}  // namespace ashlar::inline v0::simt::detail
