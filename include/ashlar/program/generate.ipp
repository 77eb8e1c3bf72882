// Definitions of generate.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/program/generate.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::int32_t sample(std::vector<double> logits, double temperature, int top_k, const RandomStream& random,
                                std::uint64_t draw) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (temperature <= 0) return static_cast<std::int32_t>(largest - logits.begin());
  double floor = -INFINITY;
  if (top_k > 0 && static_cast<std::size_t>(top_k) < logits.size()) {
    std::vector<double> sorted = logits;
    std::nth_element(sorted.begin(), sorted.begin() + top_k - 1, sorted.end(), std::greater<>());
    floor = sorted[static_cast<std::size_t>(top_k) - 1];
  }
  const double top = *largest;
  double total = 0;
  for (double& z : logits) total += z = z < floor ? 0 : std::exp((z - top) / temperature);
  double at = random.uniform(draw) * total;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if ((at -= logits[i]) < 0) return static_cast<std::int32_t>(i);
  return static_cast<std::int32_t>(largest - logits.begin());
}

}  // namespace ashlar::inline v0
