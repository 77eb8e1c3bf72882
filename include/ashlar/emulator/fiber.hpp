// Fibers: a stack and a place in a function, switched by hand (Boost.Context). Stacks are pooled per host thread and
// have a guard page; switches are announced to the sanitizers.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <new>
#include <vector>

#include "ashlar/core/platform.hpp"

#if ASHLAR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if ASHLAR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace ashlar::inline v0::simt::detail {

/// A mapping whose lowest page can't be touched: a stack that overflows ends in a segmentation fault, not in another
/// stack.
struct Stack {
  static constexpr std::size_t bytes = (ASHLAR_ASAN || ASHLAR_TSAN ? 512 : 128) << 10;

  std::byte* low = nullptr;  // the first usable byte, above the guard page
#if ASHLAR_TSAN
  void* tsan = nullptr;
#endif
  std::byte* top =
      nullptr;  // the end, less a distance that differs between stacks: their tops must not share a cache set
};

/// The stacks of one host thread, reused across blocks and launches.
class StackPool {
 public:
  static StackPool& of_this_thread() {
    thread_local StackPool pool;
    return pool;
  }
  Stack take() {
    if (free_.empty()) return map();
    const Stack stack = free_.back();
    free_.pop_back();
#if ASHLAR_ASAN
    __asan_unpoison_memory_region(stack.low, Stack::bytes);  // frames that the last user left by a switch
#endif
    return stack;
  }
  void give(Stack stack) {
    free_.push_back(stack);
  }
  ~StackPool() {
    for (const Stack& stack : free_) {
#if ASHLAR_TSAN
      __tsan_destroy_fiber(stack.tsan);
#endif
      ::munmap(stack.low - page(), Stack::bytes + page());
    }
  }

 private:
  static std::size_t page() {
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  }
  Stack map() {
    void* p = ::mmap(nullptr, Stack::bytes + page(), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    ::mprotect(p, page(), PROT_NONE);
    Stack stack;
    stack.low = static_cast<std::byte*>(p) + page();
    stack.top = stack.low + Stack::bytes - mapped_++ % 61 * 64;
#if ASHLAR_TSAN
    stack.tsan = __tsan_create_fiber(0);
#endif
    return stack;
  }

  std::vector<Stack> free_;
  std::size_t mapped_ = 0;
};

/// One function on a stack of its own. start() readies it, resume() runs it until it suspends or returns.
/// Must have returned before it is destroyed.
class Fiber {
 public:
  using Entry = void (*)(void*);

  bool active() const { return stack_.low != nullptr; }

  void start(Entry entry, void* argument) {
    stack_ = StackPool::of_this_thread().take();
    entry_ = entry;
    argument_ = argument;
    context_ = boost::context::detail::make_fcontext(stack_.top, static_cast<std::size_t>(stack_.top - stack_.low),
                                                     &Fiber::begin);
  }

  /// From outside. Returns true when the function has returned; its stack is back in the pool then.
  bool resume() {
    done_ = false;
#if ASHLAR_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack_.low, Stack::bytes);
#endif
#if ASHLAR_TSAN
    caller_tsan_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(stack_.tsan, 0);
#endif
    context_ = boost::context::detail::jump_fcontext(context_, this).fctx;
#if ASHLAR_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    if (!done_) return false;
    StackPool::of_this_thread().give(stack_);
    stack_ = {};
    return true;
  }

  /// From inside: back to the caller of resume().
  void suspend() {
    leave(false);
  }

 private:
  static void begin(boost::context::detail::transfer_t from) {
    auto& fiber = *static_cast<Fiber*>(from.data);
    fiber.arrived(from.fctx, nullptr);
    fiber.entry_(fiber.argument_);
    fiber.done_ = true;
    fiber.leave(true);
  }

  void arrived(boost::context::detail::fcontext_t caller, [[maybe_unused]] void* fake) {
    caller_ = caller;
#if ASHLAR_ASAN
    __sanitizer_finish_switch_fiber(fake, &caller_low_, &caller_bytes_);
#endif
  }

  void leave([[maybe_unused]] bool for_good) {
    void* fake = nullptr;
#if ASHLAR_ASAN
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, caller_low_, caller_bytes_);
#endif
#if ASHLAR_TSAN
    __tsan_switch_to_fiber(caller_tsan_, 0);
#endif
    const auto from = boost::context::detail::jump_fcontext(caller_, nullptr);
    arrived(from.fctx, fake);
  }

  Stack stack_;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  boost::context::detail::fcontext_t context_ = nullptr;
  boost::context::detail::fcontext_t caller_ = nullptr;
  bool done_ = false;
#if ASHLAR_ASAN
  const void* caller_low_ = nullptr;
  std::size_t caller_bytes_ = 0;
#endif
#if ASHLAR_TSAN
  void* caller_tsan_ = nullptr;
#endif
};

}  // namespace ashlar::inline v0::simt::detail
