// The board that operations' rows are written on: each row is filled with random values, checked, timed, and held
// against a ceiling that the same run has measured. Read next: kernels/swiglu.cpp, the shortest case.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "ashlar/device/meta.hpp"
#include "device_timing.hpp"
#include "kernels/host_copy.hpp"
#include "kernels/random_values.hpp"

namespace ashlar::benchmark {

/// What a row is a share of: bytes/s of a copy on the device, or FLOP/s of cuBLASLt's product of two 8192 x 8192
/// matrices in that type.
enum class Ceiling { copy, bf16, f32 };

/// As measured by the first group, 0 before. In memory that all groups' processes see.
struct Ceilings {
  double rate[3] = {};
};

/// What a Case has:
///   name, ceiling, tolerance;
///   Operands<D>: tensors on D, made from (Memory<D>&, const Case&);
///   fill(RandomValues&, Operands<Cuda>&);
///   run(D::Queue&, Operands<D>&): on Meta it counts what the operation's contract says it costs;
///   error(Cuda::Queue&, Operands<Cuda>&): runs once and compares with a reference on the host.
class Board {
 public:
  Board(Ceilings& ceilings, std::FILE* file) : ceilings_(&ceilings), file_(file), random_(queue_) {}

  /// Returns the rate, 0 where the row failed.
  template <class Case>
  double row(const Case& c) {
    Side side{c.name, 0, {}};
    double error = 0;
    std::string failure;
    try {
      side.amount = amount(c);
      measure(c, side, error);
      if (!(error <= c.tolerance)) failure = concat("wrong result: error ", error, ", tolerated ", c.tolerance);
    } catch (const std::exception& e) {
      failure = e.what();
    }
    write(side, c.ceiling, error, failure);
    return failure.empty() ? side.rate() : 0;
  }

 private:
  template <class Case>
  static double amount(const Case& c) {
    Memory<Meta> memory;
    Meta::Queue queue;
    typename Case::template Operands<Meta> operands(memory, c);
    c.template run<Meta>(queue, operands);
    return c.ceiling == Ceiling::copy ? queue.total.bytes : queue.total.flops;
  }

  template <class Case>
  void measure(const Case& c, Side& side, double& error) {
    using Operands = typename Case::template Operands<Cuda>;
    Memory<Cuda> memory;
    std::vector<std::unique_ptr<Operands>> sets;
    // What one run leaves in the second-level cache must not be there any more when its turn comes again.
    do {
      sets.push_back(std::make_unique<Operands>(memory, c));
      c.fill(random_, *sets.back());
    } while (memory.persistent() < 4 * cache_bytes() && sets.size() < 32);
    error = c.error(queue_, *sets.front());
    if (!(error <= c.tolerance)) return;
    std::size_t next = 0;
    side.run = [&] { c.template run<Cuda>(queue_, *sets[next++ % sets.size()]); };
    time_on_device(side, queue_);
    Cuda::synchronize(queue_);
  }

  static std::size_t cache_bytes() {
    int bytes = 0;
    cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0);
    return static_cast<std::size_t>(bytes);
  }

  void write(const Side& side, Ceiling ceiling, double error, const std::string& failure) {
    const bool bytes = ceiling == Ceiling::copy;
    const double scale = bytes ? 1e9 : 1e12;
    const char* const unit = bytes ? "GB/s" : "TFLOP/s";
    const double of = ceilings_->rate[static_cast<int>(ceiling)];
    if (!failure.empty()) {
      std::string text;
      for (const char c : failure) text += c == '"' || c == '\\' || c < ' ' ? '\'' : c;
      std::printf("%-56s FAILED: %s\n", side.name.c_str(), text.c_str());
      std::fprintf(file_, "{\"row\":\"%s\",\"side\":\"ashlar\",\"failed\":\"%s\"}\n", side.name.c_str(), text.c_str());
    } else {
      // What is measured before its ceiling is the ceiling.
      const double percent = of > 0 ? 100 * side.rate() / of : 100;
      std::printf("%-56s %10.1f %-8s %6.1f%%  %10.4f ms  spread %2.0f%%  error %.1e\n", side.name.c_str(),
                  side.rate() / scale, unit, percent, 1e3 * side.median(), 100 * side.spread(), error);
      std::fprintf(file_,
                   "{\"row\":\"%s\",\"side\":\"ashlar\",\"value\":%.6g,\"unit\":\"%s\",\"percent\":%.4g,"
                   "\"milliseconds\":%.6g,\"amount\":%.10g,\"spread\":%.3g,\"error\":%.3g}\n",
                   side.name.c_str(), side.rate() / scale, unit, percent, 1e3 * side.median(), side.amount / scale,
                   side.spread(), error);
    }
    std::fflush(stdout);
    std::fflush(file_);
  }

  Ceilings* ceilings_;
  std::FILE* file_;
  Cuda::Queue queue_;
  RandomValues random_;
};

}  // namespace ashlar::benchmark
