// How evenly a step's tokens were spread over experts. Read next: report/metrics.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace ashlar::inline v0 {

/// Over all layers of experts. Choices are (token, expert) pairs.
struct ExpertLoad {
  double least = std::numeric_limits<double>::infinity();  // choices of a layer's least chosen expert, over the mean
  double most = 0;                                         // of its most chosen one
  double entropy = 0;  // of a layer's choices over that of an even spread, the mean of the layers: 1 is even
  double dropped = 0;  // choices that no expert took

  /// The choices of one layer, an expert each; `expected` in all. `layers` is how many there are in all.
  void add_layer(std::span<const double> counts, double expected, double layers) {
    double total = 0, entropy_sum = 0;
    for (double n : counts) total += n;
    const double experts = static_cast<double>(counts.size()), mean = total / experts;
    for (double n : counts) {
      if (n > 0) entropy_sum -= n / total * std::log(n / total);
      if (total > 0) least = std::min(least, n / mean), most = std::max(most, n / mean);
    }
    entropy += (counts.size() > 1 ? entropy_sum / std::log(experts) : 1) / layers;
    dropped += expected - total;
  }
};

}  // namespace ashlar::inline v0
