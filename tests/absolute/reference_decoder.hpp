// A decoder written out in plain loops over its weights by name, in double: what nothing of the library is used for.
// The formulas are those of the papers, so that a fault that every layout and every device shares is seen.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace reference {

using Vector = std::vector<double>;
using Weights = std::map<std::string, Vector>;

struct Sizes {
  int dim, layers, heads, kv_heads, vocab, hidden;
  double eps = 1e-5, theta = 500000;
  bool tied = false;
  int first_expert_layer = 1 << 30;  // layers from here on are mixtures
  int experts = 0, top_k = 0, expert_hidden = 0, shared = 0;
  bool route_norm = false;
  double route_scale = 1;
  bool documents = false;  // attention stays within documents
};

inline Vector product(const Vector& w, const Vector& x) {
  Vector y(w.size() / x.size());
  for (std::size_t o = 0; o < y.size(); ++o)
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += w[o * x.size() + i] * x[i];
  return y;
}
inline Vector norm(const Vector& x, const Vector& weight, double eps) {
  double squares = 0;
  for (double v : x) squares += v * v;
  Vector y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = x[i] / std::sqrt(squares / static_cast<double>(x.size()) + eps) * weight[i];
  return y;
}
inline Vector swiglu(const Vector& w1, const Vector& w2, const Vector& w3, const Vector& x) {
  Vector a = product(w1, x);
  const Vector b = product(w3, x);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = a[i] / (1 + std::exp(-a[i])) * b[i];
  return product(w2, a);
}
/// Columns (2 i, 2 i + 1) of each head by the angle position theta^(-2 i / width).
inline void turn(Vector& x, int heads, int position, double theta) {
  const std::size_t width = x.size() / static_cast<std::size_t>(heads);
  for (std::size_t h = 0; h < static_cast<std::size_t>(heads); ++h)
    for (std::size_t i = 0; i < width / 2; ++i) {
      const double angle = position / std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(width));
      double &re = x[h * width + 2 * i], &im = x[h * width + 2 * i + 1];
      const double r = re * std::cos(angle) - im * std::sin(angle);
      im = re * std::sin(angle) + im * std::cos(angle);
      re = r;
    }
}

class Decoder {
 public:
  Decoder(const Sizes& sizes, Weights weights) : s(sizes), w(std::move(weights)) {}

  /// The logits after each token of one sequence. starts: where each token's document begins.
  std::vector<Vector> logits(const std::vector<int>& tokens, const std::vector<int>& starts) const {
    std::vector<Vector> x;
    const Vector& table = w.at("tok_embeddings.weight");
    for (int t : tokens) x.emplace_back(table.begin() + t * s.dim, table.begin() + (t + 1) * s.dim);
    for (int l = 0; l < s.layers; ++l) {
      const std::string at = "layers." + std::to_string(l) + ".";
      attend(x, starts, at);
      for (Vector& row : x) {
        const Vector f =
            l < s.first_expert_layer
                ? swiglu(w.at(at + "feed_forward.w1.weight"), w.at(at + "feed_forward.w2.weight"),
                         w.at(at + "feed_forward.w3.weight"), norm(row, w.at(at + "ffn_norm.weight"), s.eps))
                : mixture(norm(row, w.at(at + "ffn_norm.weight"), s.eps), at + "moe.");
        for (std::size_t i = 0; i < row.size(); ++i) row[i] += f[i];
      }
    }
    std::vector<Vector> out;
    for (const Vector& row : x)
      out.push_back(product(s.tied ? table : w.at("output.weight"), norm(row, w.at("norm.weight"), s.eps)));
    return out;
  }
  /// The summed loss of one sequence, and how many targets counted.
  std::pair<double, int> loss(const std::vector<int>& tokens, const std::vector<int>& targets,
                              const std::vector<int>& starts) const {
    const std::vector<Vector> z = logits(tokens, starts);
    double sum = 0;
    int counted = 0;
    for (std::size_t t = 0; t < targets.size(); ++t) {
      if (targets[t] < 0) continue;
      double total = 0;
      for (double v : z[t]) total += std::exp(v);
      sum += std::log(total) - z[t][static_cast<std::size_t>(targets[t])];
      ++counted;
    }
    return {sum, counted};
  }

  Sizes s;
  Weights w;

 private:
  void attend(std::vector<Vector>& x, const std::vector<int>& starts, const std::string& at) const {
    const auto width = static_cast<std::size_t>(s.dim / s.heads);
    std::vector<Vector> q, k, v;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Vector n = norm(x[t], w.at(at + "attention_norm.weight"), s.eps);
      q.push_back(product(w.at(at + "attention.wq.weight"), n));
      k.push_back(product(w.at(at + "attention.wk.weight"), n));
      v.push_back(product(w.at(at + "attention.wv.weight"), n));
      turn(q.back(), s.heads, static_cast<int>(t), s.theta);
      turn(k.back(), s.kv_heads, static_cast<int>(t), s.theta);
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      Vector heads(static_cast<std::size_t>(s.dim));
      for (std::size_t h = 0; h < static_cast<std::size_t>(s.heads); ++h) {
        const std::size_t g = h / static_cast<std::size_t>(s.heads / s.kv_heads);
        Vector share(t + 1);
        double total = 0;
        for (std::size_t u = s.documents ? static_cast<std::size_t>(starts[t]) : 0; u <= t; ++u) {
          double score = 0;
          for (std::size_t i = 0; i < width; ++i) score += q[t][h * width + i] * k[u][g * width + i];
          total += share[u] = std::exp(score / std::sqrt(static_cast<double>(width)));
        }
        for (std::size_t u = 0; u <= t; ++u)
          for (std::size_t i = 0; i < width; ++i) heads[h * width + i] += share[u] / total * v[u][g * width + i];
      }
      const Vector y = product(w.at(at + "attention.wo.weight"), heads);
      for (std::size_t i = 0; i < y.size(); ++i) x[t][i] += y[i];
    }
  }
  Vector mixture(const Vector& x, const std::string& at) const {
    Vector scores = product(w.at(at + "router.gate.weight"), x);
    for (double& z : scores) z = 1 / (1 + std::exp(-z));
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    order.resize(static_cast<std::size_t>(s.top_k));
    double total = 0;
    for (std::size_t e : order) total += scores[e];
    Vector y = swiglu(w.at(at + "shared_experts.w1.weight"), w.at(at + "shared_experts.w2.weight"),
                      w.at(at + "shared_experts.w3.weight"), x);
    const auto size = static_cast<std::ptrdiff_t>(s.expert_hidden * s.dim);
    for (std::size_t e : order) {
      const auto part = [&](const char* name) {
        const Vector& all = w.at(at + name);
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(e) * size;
        return Vector(begin, begin + size);
      };
      const Vector f = swiglu(part("experts.w1"), part("experts.w2"), part("experts.w3"), x);
      const double weight = (s.route_norm ? scores[e] / total : scores[e]) * s.route_scale;
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += weight * f[i];
    }
    return y;
  }
};

}  // namespace reference
