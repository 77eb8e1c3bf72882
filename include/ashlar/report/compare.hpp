// Comparing: how far apart two runs are in a tensor, and the words for the first that is too far. Read next:
// program/compare.hpp, which runs the two.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/tensor/tensor_box.hpp"

namespace ashlar::inline v0 {

namespace detail {
/// `format` is printf's, of one double.
std::string digits(double x, const char* format);
}  // namespace detail

/// How far apart the values of a tensor are, and which element is farthest. NaN, in either, is infinitely far.
struct Distance {
  double relative = 0;
  std::size_t at = 0;
};

/// The greatest |a - b| of an element, relative to |b| or, where that is less, to the root mean square of b: what
/// cancels leaves errors of the size of what went in.
Distance distance(std::span<const double> a, std::span<const double> b);

/// Of weights that began at `start`: |a - b| relative to how far a has come, in L2 norm. A step's size says how much of
/// a difference is too much, not that of the weights.
Distance distance_moved(std::span<const double> a, std::span<const double> b, std::span<const double> start);

/// Four times the square root of the type's precision: of a model's tensors, the farthest element of sums in another
/// order differs by less, what is wrong by more.
double default_tolerance(DType computed_in);

/// What of weights `tolerance` of gradients allows. AdamW's first steps are nearly the gradients' signs: where a share
/// t of small gradients is noise, a share t of signs is, and a step differs by sqrt(t) in norm.
inline double weight_tolerance(double tolerance) {
  return std::sqrt(tolerance);
}

/// When in a step a tensor is made, in this order.
enum class Moment { forward, backward, gradient, after_step };

/// The first tensor that two runs differ in.
struct Difference {
  std::int64_t step = 0;
  std::string name;
  Moment moment = Moment::forward;
  Shape whole, element;  // of the logical tensor; the indices of the farthest element
  double value = 0, reference = 0, relative = 0, tolerance = 0;
  int rank = 0;
  std::int64_t micro_batch = -1;  // of the step, over all ranks; -1: of all
};

/// "step 2: the first difference is in layers.1.attention.query (forward), element [13, 40] of [64, 128], ...".
std::string to_string(const Difference& d);

/// The indices of element `at` of a box that is stored row-major.
Shape element_of(const TensorBox& box, std::size_t at);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/report/compare.ipp"
#endif
