// Rotary frequencies, and how families stretch them for sequences longer than those that a model was first trained on.
// Read next: nn/attention/rope_table.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// How the frequencies theta^(-2i / width) of a flavor are stretched.
struct RopeScaling {
  enum class Kind { none, llama3, yarn };
  Kind kind = Kind::none;
  double factor = 1;         // how many times longer sequences become
  index_t original_len = 0;  // positions of a sequence before that
  bool beyond_only = false;  // acts on runs of sequences longer than original_len alone
  // llama3: wavelengths above original_len / low_frequency are stretched, those below original_len / high_frequency not
  double low_frequency = 1, high_frequency = 4;
  // yarn: pairs that turn fewer than beta_slow times in original_len are stretched, those above beta_fast not
  double beta_fast = 32, beta_slow = 1;
  double mscale = 0, mscale_all_dim = 0;  // yarn, DeepSeek's: of the table, and of the scores; 0: the paper's table
};

/// What a table of angles is made of.
struct RopeAngles {
  std::vector<double> frequencies;  // [width / 2], radians a position
  double magnitude = 1;             // what cos and sin are multiplied by
  double score_scale = 1;           // what attention multiplies its scores by besides
  std::vector<float> query_scales;  // [positions]: what layers of ScaledQueries multiply queries by; empty: nothing
};

namespace detail {

/// YaRN's attention temperature (Peng et al. 2023, arXiv:2309.00071, equation 22), with DeepSeek's weight m.
inline double yarn_mscale(double factor, double m) {
  return factor > 1 ? 0.1 * m * std::log(factor) + 1 : 1;
}

/// Llama 3.1's stretching of one frequency (Grattafiori et al. 2024, arXiv:2407.21783; the formula is that of its
/// published code): between the two wavelengths a line in original_len / wavelength.
inline double stretch_llama3(double frequency, const RopeScaling& s) {
  const double turns = static_cast<double>(s.original_len) * frequency / (2 * std::numbers::pi);
  if (turns > s.high_frequency) return frequency;
  if (turns <= s.low_frequency) return frequency / s.factor;
  const double kept = (turns - s.low_frequency) / (s.high_frequency - s.low_frequency);
  return (1 - kept) * frequency / s.factor + kept * frequency;
}

/// The pair whose wavelength fits `turns` times into original_len, as a real number (YaRN, section 3.2).
inline double pair_that_turns(double turns, index_t width, double theta, const RopeScaling& s) {
  return static_cast<double>(width) * std::log(static_cast<double>(s.original_len) / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(theta));
}

}  // namespace detail

/// The angles of heads of which `width` columns turn, for sequences of up to max_len positions. Throws ConfigError for
/// a scaling without numbers.
inline RopeAngles rope_angles(index_t width, double theta, const RopeScaling& s, index_t max_len) {
  RopeAngles out;
  for (index_t i = 0; i < width / 2; ++i)
    out.frequencies.push_back(std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(width)));
  if (s.kind == RopeScaling::Kind::none || (s.beyond_only && max_len <= s.original_len)) return out;
  if (!(s.factor > 0 && s.original_len > 0))
    throw ConfigError(concat("rotary frequencies are stretched by a factor above 0 from a length above 0, not by ",
                             s.factor, " from ", s.original_len));
  if (s.kind == RopeScaling::Kind::llama3) {
    for (double& f : out.frequencies) f = detail::stretch_llama3(f, s);
    return out;
  }
  const double low = std::max(std::floor(detail::pair_that_turns(s.beta_fast, width, theta, s)), 0.0);
  double high =
      std::min(std::ceil(detail::pair_that_turns(s.beta_slow, width, theta, s)), static_cast<double>(width - 1));
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < out.frequencies.size(); ++i) {
    const double stretched = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    out.frequencies[i] *= stretched / s.factor + 1 - stretched;
  }
  const bool weighted = s.mscale > 0 && s.mscale_all_dim > 0;
  out.magnitude = weighted ? detail::yarn_mscale(s.factor, s.mscale) / detail::yarn_mscale(s.factor, s.mscale_all_dim)
                           : detail::yarn_mscale(s.factor, 1);
  const double m = s.mscale_all_dim > 0 ? detail::yarn_mscale(s.factor, s.mscale_all_dim) : 1;
  out.score_scale = m * m;
  return out;
}

}  // namespace ashlar::inline v0
