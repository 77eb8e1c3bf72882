// Definitions of compare.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <cstdio>
#include <limits>

#include "ashlar/report/compare.hpp"

namespace ashlar::inline v0 {

namespace detail {
/// The farthest element, relative to scale(i).
template <class Scale>
Distance farthest(std::span<const double> a, std::span<const double> b, Scale&& scale) {
  Distance most;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    double relative = std::abs(a[i] - b[i]) / scale(i);
    if (!(relative < std::numeric_limits<double>::infinity())) relative = std::numeric_limits<double>::infinity();
    if (relative > most.relative) most = {relative, i};
  }
  return most;
}

inline double norm_of_difference(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

ASHLAR_ONCE std::string digits(double x, const char* format) {
  char text[40];
  std::snprintf(text, sizeof text, format, x);
  return text;
}
}  // namespace detail

ASHLAR_ONCE Distance distance(std::span<const double> a, std::span<const double> b) {
  double squares = 0;
  for (const double x : b) squares += x * x;
  const double mean = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(b.size(), 1)));
  return detail::farthest(a, b, [&](std::size_t i) { return std::max(std::abs(b[i]), mean); });
}

ASHLAR_ONCE Distance distance_moved(std::span<const double> a, std::span<const double> b,
                                    std::span<const double> start) {
  Distance d = detail::farthest(a, b, [](std::size_t) { return 1.0; });
  if (d.relative > 0 && std::isfinite(d.relative))
    d.relative = detail::norm_of_difference(a, b) / detail::norm_of_difference(a, start);
  return d;
}

ASHLAR_ONCE double default_tolerance(DType computed_in) {
  if (computed_in == DType::bf16) return 4 * std::sqrt(0x1p-7);
  return 4 * std::sqrt(computed_in == DType::f64 ? std::numeric_limits<double>::epsilon()
                                                 : static_cast<double>(std::numeric_limits<float>::epsilon()));
}

ASHLAR_ONCE Shape element_of(const TensorBox& box, std::size_t at) {
  Shape element = box.offset;
  auto rest = static_cast<index_t>(at);
  for (int i = box.extent.rank(); i-- > 0; rest /= box.extent[i]) element[i] += rest % box.extent[i];
  return element;
}

ASHLAR_ONCE std::string to_string(const Difference& d) {
  constexpr const char* moments[] = {"forward", "backward", "gradient of a weight", "after the step"};
  return concat("step ", d.step, ": the first difference is in ", d.name, " (", moments[static_cast<int>(d.moment)],
                "), element ", to_string(d.element), " of ", to_string(d.whole), ": ", detail::digits(d.value, "%.17g"),
                " on rank ", d.rank, d.micro_batch < 0 ? "" : concat(", micro-batch ", d.micro_batch),
                ", where the reference has ", detail::digits(d.reference, "%.17g"), "; the relative difference ",
                detail::digits(d.relative, "%.2g"), " is above the tolerance ", detail::digits(d.tolerance, "%.2g"));
}

}  // namespace ashlar::inline v0
