// wgmma, as device/cuda/ptx/wgmma.cuh has it. The threads of a warpgroup hand in each product one by one and go on; it
// is under way when all have, and done at once or as late as a wait. Until a thread has waited, its part of the result
// holds a poison: a NaN that nothing else has. Read next: emulator/matrix_descriptor.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ashlar/core/dtype.hpp"
#include "ashlar/emulator/block.hpp"
#include "ashlar/emulator/matrix_descriptor.hpp"
#include "ashlar/emulator/poison.hpp"

namespace ashlar::inline v0::simt::detail {

/// What a thread hands in.
struct ProductArguments {
  int width = 0;  // N
  bool transpose_a = false, transpose_b = false, a_in_registers = false, add = false;
  std::uint64_t a = 0, b = 0;  // descriptors
  Site where;
  friend bool operator==(const ProductArguments&, const ProductArguments&) = default;
};

class Warpgroup {
 public:
  static constexpr int threads = 128;

  Warpgroup(Block& block, int first) : block_(block), first_(first) {
    agent_ = block.shared_memory().clocks().add_agent();
    block.shared_memory().pieces().name(agent_, concat("wgmma of threads ", first, " to ", first + threads - 1));
  }

  /// The running thread's wgmma_fence.
  void fence() { mine().fenced = true; }

  /// Its part in the next product: `d` has width / 2 numbers; `a`, if the factor is in registers, four.
  void submit(const ProductArguments& arguments, float* d, const std::uint32_t* a) {
    Thread& thread = mine();
    const auto lane = static_cast<std::size_t>(block_.current() - first_);
    if (thread.submitted == first_product_ + products_.size()) {
      products_.emplace_back();
      Product& product = products_.back();
      product.arguments = arguments;
      product.group = thread.committed + 1;
      product.result = under_way(d, lane);
      if (!product.result) results_.push_back(product.result = std::make_shared<Result>(arguments));
    }
    Product& product = products_[thread.submitted - first_product_];
    check_same(product, arguments);
    Result& result = *product.result;
    if (!result.d[lane]) {
      if (!thread.fenced)
        block_.fault("wgmma without wgmma_fence: since the last wait the thread may have touched the registers",
                     arguments.where);
      take(result, lane, d);
    } else if (result.d[lane] != d) {
      block_.fault("wgmma: this lane's result is another than that of the lanes before", arguments.where);
    }
    if (result.width != arguments.width)
      block_.fault("wgmma: products of different widths in flight on one result", arguments.where);
    result.last[lane] = thread.submitted++;
    if (arguments.a_in_registers)
      for (std::size_t r = 0; r < 4; ++r) product.a[lane * 4 + r] = a[r];
    if (++product.submitted == threads) begin(product);
  }

  void commit(Site where) {
    Thread& thread = mine();
    if (++thread.committed > groups_.size())
      groups_.push_back(thread.submitted);
    else if (groups_[thread.committed - 1] != thread.submitted)
      block_.fault("unconverged wgmma_commit: the warpgroup's threads have handed in different products", where);
  }

  /// Until at most `pending` groups are under way; the running thread's results come to their registers.
  void wait(std::uint32_t pending, Site where) {
    Thread& thread = mine();
    if (thread.committed <= pending) return;
    const std::uint32_t upto = thread.committed - pending;
    const std::size_t end = groups_[upto - 1];
    while (!begun(end)) {
      thread.waiting = true;
      block_.wait([](const Block&, int) -> std::string { return "in wgmma_wait for the warpgroup's other threads"; },
                  where);
    }
    while (first_product_ + done_ < end) execute(products_[done_++]);
    const auto lane = static_cast<std::size_t>(block_.current() - first_);
    for (const auto& result : results_)
      if (result->d[lane] && result->last[lane] < end) give(*result, lane, where), thread.fenced = false;
    std::erase_if(results_, [](const auto& result) { return result->given == threads; });
    while (done_ > 0 && all_have_waited(first_product_)) products_.pop_front(), ++first_product_, --done_;
    block_.shared_memory().clocks().saw_agent(block_.current(), agent_, upto);
  }

  /// The thread exits.
  void leave(int number) const {
    const auto lane = static_cast<std::size_t>(number - first_);
    for (const auto& result : results_)
      if (result->d[lane])
        block_.fault_of(number, "the thread exits with products in flight: wgmma_wait", result->where);
    for (const Product& product : products_)
      if (product.submitted < threads && first_product_ + index(product) >= thread_[lane].submitted)
        block_.fault_of(number, "unconverged wgmma: the thread exits and has no part in a product of its warpgroup",
                        product.arguments.where);
  }

 private:
  /// One array of accumulators in flight.
  struct Result {
    explicit Result(const ProductArguments& first)
        : width(first.width), where(first.where), values(static_cast<std::size_t>(64 * width)) {}
    int width;
    Site where;
    std::vector<float> values;  // [64, width]
    std::array<float*, threads> d = {};
    std::array<std::size_t, threads> last = {};  // product of each thread on it
    int given = 0;
  };
  struct Product {
    ProductArguments arguments;
    std::uint32_t group = 0;
    int submitted = 0;
    bool done = false;
    std::shared_ptr<Result> result;
    std::array<std::uint32_t, threads* 4> a = {};
  };
  struct Thread {
    std::size_t submitted = 0;    // products
    std::uint32_t committed = 0;  // groups
    bool fenced = false, waiting = false;
  };

  Thread& mine() { return thread_[static_cast<std::size_t>(block_.current() - first_)]; }
  std::size_t index(const Product& product) const {
    std::size_t i = 0;
    while (&products_[i] != &product) ++i;
    return i;
  }
  std::shared_ptr<Result> under_way(const float* d, std::size_t lane) const {
    for (const auto& result : results_)
      if (result->d[lane] == d) return result;
    return nullptr;
  }
  void check_same(const Product& product, const ProductArguments& arguments) const {
    const ProductArguments& first = product.arguments;
    if (first == arguments) return;
    block_.fault(first.where == arguments.where
                     ? std::string("wgmma: the lanes of the warpgroup bring different descriptors or numbers")
                     : concat("unconverged wgmma: other threads of the warpgroup are in another, at ", first.where),
                 arguments.where);
  }

  /// Row and column of number i of a lane's part.
  static std::size_t place(std::size_t lane, int i, int width) {
    const auto w = lane / 32, l = lane % 32, j = static_cast<std::size_t>(i);
    const std::size_t row = 16 * w + l / 4 + 8 * (j / 2 % 2), col = 8 * (j / 4) + 2 * (l % 4) + j % 2;
    return row * static_cast<std::size_t>(width) + col;
  }
  static void take(Result& result, std::size_t lane, float* d) {
    result.d[lane] = d;
    for (int i = 0; i < result.width / 2; ++i) {
      result.values[place(lane, i, result.width)] = d[i];
      std::memcpy(d + i, &poison_bits, sizeof(float));
    }
  }
  void give(Result& result, std::size_t lane, Site where) const {
    float* const d = std::exchange(result.d[lane], nullptr);
    for (int i = 0; i < result.width / 2; ++i) {
      if (std::memcmp(d + i, &poison_bits, sizeof(float)) != 0)
        block_.fault(concat("accumulator touched in flight: number ", i,
                            " was written between wgmma and the wgmma_wait that ends here"),
                     where);
      d[i] = result.values[place(lane, i, result.width)];
    }
    ++result.given;
  }

  bool begun(std::size_t end) const {
    for (std::size_t i = done_; first_product_ + i < end; ++i)
      if (i >= products_.size() || products_[i].submitted < threads) return false;
    return true;
  }
  bool all_have_waited(std::size_t product) const {
    for (const Thread& thread : thread_)
      if (thread.submitted <= product) return false;
    return true;
  }

  /// All threads have handed it in. Now its factors must be there, and stay.
  void begin(Product& product) {
    const ProductArguments& of = product.arguments;
    if (!of.a_in_registers) check(product, of.a, of.transpose_a, 64);
    check(product, of.b, of.transpose_b, of.width);
    if (schedule_state().mode == Schedule::round_robin || schedule_state().one_in(2))
      while (done_ < products_.size() && products_[done_].submitted == threads) execute(products_[done_++]);
    for (std::size_t lane = 0; lane < threads; ++lane)
      if (thread_[lane].waiting) thread_[lane].waiting = false, block_.wake(first_ + static_cast<int>(lane));
  }
  void check(const Product& product, std::uint64_t bits, bool transposed, int rows) const {
    const std::array<int, 4> warps = {first_, first_ + 32, first_ + 64, first_ + 96};
    const AgentAccess now{agent_, product.group, product.arguments.where};
    for_each_piece(bits, transposed, rows, [&](std::uint32_t address, int, int) {
      const std::size_t at = offset(address, product.arguments.where);
      if (const auto why = block_.shared_memory().agent_fault(at, 16, true, warps, now); !why.empty())
        block_.fault(concat("wgmma: ", why), product.arguments.where);
    });
  }
  std::size_t offset(std::uint32_t address, Site where) const {
    const std::size_t at = address - shared_window;
    if (address < shared_window || at + 16 > block_.shared_stride())
      block_.fault("wgmma: a descriptor leads out of shared memory", where);
    return at + static_cast<std::size_t>(block_.rank_of(first_)) * block_.shared_stride();
  }

  /// f(address, row, k) for every eight elements: of one row from k on, or, transposed, of one k from row on.
  template <class F>
  static void for_each_piece(std::uint64_t bits, bool transposed, int rows, F&& f) {
    const MatrixDescriptor descriptor(bits);
    if (transposed)
      for (int k = 0; k < 16; ++k)
        for (int row = 0; row < rows; row += 8) f(descriptor.over_rows(row / 8, k), row, k);
    else
      for (int row = 0; row < rows; ++row)
        for (int k = 0; k < 16; k += 8) f(descriptor.along_row(row, k / 8), row, k);
  }
  /// x [16, rows]: the factor, its summed index first.
  void gather(std::uint64_t bits, bool transposed, int rows, float* x, Site where) const {
    SharedMemory& shared = block_.shared_memory();
    for_each_piece(bits, transposed, rows, [&](std::uint32_t address, int row, int k) {
      const std::size_t at = offset(address, where);
      if (std::memchr(shared.written(at), 0, 16))
        block_.fault("wgmma: a factor in shared memory was not written since the block began", where);
      std::array<std::uint16_t, 8> piece;
      std::memcpy(piece.data(), shared.base() + at, 16);
      for (int i = 0; i < 8; ++i) {
        const std::uint32_t wide = std::uint32_t{piece[static_cast<std::size_t>(i)]} << 16;
        x[transposed ? k * rows + row + i : (k + i) * rows + row] = std::bit_cast<float>(wide);
      }
    });
  }

  void execute(Product& product) const {
    const ProductArguments& of = product.arguments;
    const int n = of.width;
    std::vector<float> a(16 * 64), b(static_cast<std::size_t>(16 * n));
    if (of.a_in_registers)
      for (int lane = 0; lane < threads; ++lane)
        for (int r = 0; r < 4; ++r) {
          const std::uint32_t pair = product.a[static_cast<std::size_t>(lane * 4 + r)];
          const int row = 16 * (lane / 32) + lane % 32 / 4 + 8 * (r % 2), k = 2 * (lane % 4) + 8 * (r / 2);
          a[static_cast<std::size_t>(k * 64 + row)] = std::bit_cast<float>(pair << 16);
          a[static_cast<std::size_t>((k + 1) * 64 + row)] = std::bit_cast<float>(pair & 0xffff0000u);
        }
    else
      gather(of.a, of.transpose_a, 64, a.data(), of.where);
    gather(of.b, of.transpose_b, n, b.data(), of.where);
    float* const d = product.result->values.data();
    if (!of.add) std::fill_n(d, 64 * n, 0.0f);
    for (int row = 0; row < 64; ++row)
      for (int col = 0; col < n; col += 8) add_row(d + row * n + col, a.data() + row, b.data() + col, n);
  }

  using Four = float __attribute__((vector_size(16)));
  /// d[0 to 7] += the sum over k of a[64 k] b[n k + 0 to 7].
  static void add_row(float* d, const float* a, const float* b, int n) {
    Four left, right;
    std::memcpy(&left, d, 16);
    std::memcpy(&right, d + 4, 16);
    for (int k = 0; k < 16; ++k) {
      Four x, y;
      std::memcpy(&x, b + k * n, 16);
      std::memcpy(&y, b + k * n + 4, 16);
      left += a[k * 64] * x;
      right += a[k * 64] * y;
    }
    std::memcpy(d, &left, 16);
    std::memcpy(d + 4, &right, 16);
  }

  Block& block_;
  const int first_;
  int agent_ = 0;
  std::array<Thread, threads> thread_ = {};
  std::deque<Product> products_;  // from first_product_ on, in order
  std::size_t first_product_ = 0, done_ = 0;
  std::vector<std::size_t> groups_;  // the number of products when each was committed
  std::vector<std::shared_ptr<Result>> results_;
};

}  // namespace ashlar::inline v0::simt::detail
