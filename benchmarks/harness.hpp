// The benchmarks' harness: sides are measured in turns in one run, so that a machine that changes its pace changes it
// for all; medians are reported, as ratios to a peer or to a ceiling. Correctness is checked before anything is timed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace ashlar::benchmark {

/// One thing that is measured. `run` does the whole work and returns when it is done.
struct Side {
  std::string name;
  double amount;  // of what the rate counts, a run: FLOPs, bytes, tokens
  std::function<void()> run;
  std::vector<double> seconds = {};

  double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted.empty() ? 0 : sorted[sorted.size() / 2];
  }
  double rate() const { return amount / median(); }
  /// Half the distance between the quartiles, as a share of the median: how far the figure can be trusted.
  double spread() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted.size() < 4 ? 0 : (sorted[sorted.size() * 3 / 4] - sorted[sorted.size() / 4]) / 2 / median();
  }
};

/// Runs each side `warm_up` times, then all of them in turns, `rounds` times.
inline void interleave(std::vector<Side>& sides, int rounds, int warm_up = 2) {
  for (Side& side : sides)
    for (int i = 0; i < warm_up; ++i) side.run();
  for (int r = 0; r < rounds; ++r)
    for (Side& side : sides) {
      const auto begin = std::chrono::steady_clock::now();
      side.run();
      side.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
}

inline void print(const Side& side, double scale, const char* unit) {
  std::printf("%-40s %10.2f %s  (median of %zu, spread %.0f%%)\n", side.name.c_str(), side.rate() / scale, unit,
              side.seconds.size(), 100 * side.spread());
}

}  // namespace ashlar::benchmark
