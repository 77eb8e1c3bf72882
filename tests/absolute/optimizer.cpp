// Steps of the optimizer are the formulas of its rules on the gradients: AdamW's (Loshchilov and Hutter 2019,
// arXiv:1711.05101, algorithm 2), Adam's (Kingma and Ba 2015, arXiv:1412.6980, with L2 regularisation), Muon's (Jordan
// et al. 2024), with the global norm clipped, and with rates written out as numbers.
#include <cmath>

#include "absolute/trained.hpp"
#include "ashlar/moe/moe.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {

struct Dense : Recipe<Family<Tiny>, Precision<F64, F32>> {};

Config config_of() {
  Config c;
  c.training.seq_len = 8;
  c.training.local_batch_size = 2;
  c.training.steps = 6;
  c.training.max_norm = 0.25;
  c.optimizer.lr = 0.02;
  c.optimizer.beta1 = 0.8;
  c.optimizer.beta2 = 0.97;
  c.optimizer.eps = 1e-6;
  c.optimizer.weight_decay = 0.3;
  c.lr_scheduler.warmup_steps = 2;
  c.lr_scheduler.decay_type = "linear";
  c.lr_scheduler.min_lr_factor = 0.1;
  return c;
}

}  // namespace

TEST_CASE("optimizer steps are the formulas, with an active clip and the rates of warm-up and decay") {
  // Warm-up over 2 of 6 steps, then linear decay over 4 towards a tenth: factors 1/2, 1, and 0.1 + 0.9 (1 - k / 4).
  const double rates[] = {0.01, 0.02, 0.02, 0.0155, 0.011, 0.0065};
  Trainer<ModelOf<Dense, Cpu, double>> trainer(config_of());
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
  test::ByName p = test::weights_of(trainer), m, v;
  for (auto& [name, values] : p) m[name] = v[name] = std::vector<double>(values.size());
  for (int step = 1; step <= 6; ++step) {
    trainer.step(loader.next());
    const StepResult result = trainer.result();
    INFO("step " << step);
    CHECK(result.lr == Approx(rates[step - 1]).epsilon(1e-14));
    const test::ByName gradients = test::gradients_of(trainer);
    double squares = 0;
    for (const auto& [name, g] : gradients)
      for (double x : g) squares += x * x;
    const double norm = std::sqrt(squares), clip = 0.25 / (norm + 1e-6);
    REQUIRE(clip < 0.9);  // the clip is active
    CHECK(result.grad_norm == Approx(norm).epsilon(1e-13));
    const test::ByName now = test::weights_of(trainer);
    double worst = 0, moved = 0;
    for (const auto& [name, g] : gradients)
      for (std::size_t i = 0; i < g.size(); ++i) {
        const double c = g[i] * clip, lr = rates[step - 1];
        m[name][i] = 0.8 * m[name][i] + 0.2 * c;
        v[name][i] = 0.97 * v[name][i] + 0.03 * c * c;
        const double mean = m[name][i] / (1 - std::pow(0.8, step)), square = v[name][i] / (1 - std::pow(0.97, step));
        const double before = p[name][i];
        p[name][i] = before * (1 - lr * 0.3) - lr * mean / (std::sqrt(square) + 1e-6);
        worst = std::max(worst, std::abs(now.at(name)[i] - p[name][i]));
        moved = std::max(moved, std::abs(p[name][i] - before));
      }
    CHECK(worst < 1e-14);
    CHECK(moved > 1e-3);
  }
}

TEST_CASE("gradients below the maximal norm are not scaled") {
  for (const double most : {1e6, 1e3}) {
    Config c = config_of();
    c.training.max_norm = most;
    c.optimizer.weight_decay = 0;
    c.lr_scheduler.warmup_steps = 0;
    Trainer<ModelOf<Dense, Cpu, double>> trainer(c);
    const test::ByName before = test::weights_of(trainer);
    trainer.step(trainer.loader(std::make_shared<RandomTokens>(1, 64)).next());
    trainer.result();
    const test::ByName g = test::gradients_of(trainer), after = test::weights_of(trainer);
    // The first step of Adam without a clip: lr g / (|g| + eps).
    for (const auto& [name, values] : g)
      for (std::size_t i = 0; i < values.size(); i += 37)
        CHECK(after.at(name)[i] - before.at(name)[i] ==
              Approx(-0.02 * values[i] / (std::abs(values[i]) + 1e-6)).epsilon(1e-9).margin(1e-12));
  }
}

namespace {

/// Newton-Schulz in loops over elements: X = M / |M|, then five times X = 3.4445 X - 4.7750 S X + 2.0315 S S X with
/// S = X X^T.
std::vector<double> orthogonalized(std::vector<double> x, std::size_t rows, std::size_t cols) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  const double norm = std::max(std::sqrt(squares), 1e-7);
  for (double& v : x) v /= norm;
  const auto times_s = [&](const std::vector<double>& s, const std::vector<double>& y) {
    std::vector<double> out(y.size());
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t k = 0; k < rows; ++k)
        for (std::size_t j = 0; j < cols; ++j) out[i * cols + j] += s[i * rows + k] * y[k * cols + j];
    return out;
  };
  for (int step = 0; step < 5; ++step) {
    std::vector<double> s(rows * rows);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t k = 0; k < rows; ++k)
        for (std::size_t j = 0; j < cols; ++j) s[i * rows + k] += x[i * cols + j] * x[k * cols + j];
    const std::vector<double> sx = times_s(s, x), ssx = times_s(s, sx);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 3.4445 * x[i] - 4.7750 * sx[i] + 2.0315 * ssx[i];
  }
  return x;
}

struct ThreeRules : Recipe<Family<Tiny>, Ffn<MoE<TopK<Softmax>>>, Precision<F64>, Optimize<Muon, AdamW, Adam>> {};

}  // namespace

TEST_CASE("each rule's steps are its formulas, by groups with rates and decays of their own") {
  const bool nesterov = GENERATE(true, false);
  Config c = config_of();
  c.model.flavor = "moe";
  c.optimizer.momentum = 0.7;
  c.optimizer.nesterov = nesterov;
  c.optimizer.adjust_lr = nesterov ? "original" : "match_rms_adamw";
  c.optimizer.groups = {{.names = "*.attention.wo.weight", .rule = "Adam", .lr_factor = 0.5},
                        {.names = "*.attention.wk.weight", .rule = "AdamW", .weight_decay = 0.0},
                        {.names = "*.w2.weight", .lr_factor = 2, .weight_decay = 0.1},
                        {.names = "layers.0.attention.*", .rule = "Frozen"}};
  const double rates[] = {0.01, 0.02, 0.02};
  Trainer<ModelOf<ThreeRules, Cpu, double>> trainer(c);
  std::map<std::string, Shape> shapes;
  for (auto& stage : trainer.stages())
    for (auto* unit : stage->units())
      for (const auto& e : unit->layout().entries())
        if (e.info.trainable) shapes[e.info.name] = e.info.shape;
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
  test::ByName p = test::weights_of(trainer), m, v;
  for (auto& [name, values] : p) m[name] = v[name] = std::vector<double>(values.size());
  std::map<std::string, int> ruled;
  for (int step = 1; step <= 3; ++step) {
    trainer.step(loader.next());
    const StepResult result = trainer.result();
    INFO("step " << step);
    const test::ByName gradients = test::gradients_of(trainer);
    double squares = 0;
    for (const auto& [name, g] : gradients)
      for (double x : g) squares += x * x;
    const double norm = std::sqrt(squares), clip = 0.25 / (norm + 1e-6);
    REQUIRE(clip < 0.9);
    CHECK(result.grad_norm == Approx(norm).epsilon(1e-13));
    const test::ByName now = test::weights_of(trainer);
    for (const auto& [name, g] : gradients) {
      INFO(name);
      const Shape& shape = shapes.at(name);
      const bool table = name == "tok_embeddings.weight" || name == "output.weight";
      const bool adam = name.ends_with(".attention.wo.weight"), wk = name.ends_with(".attention.wk.weight");
      const bool w2 = name.ends_with(".w2.weight");
      const double lr = rates[step - 1] * (adam ? 0.5 : w2 ? 2 : 1), decay = wk ? 0 : w2 ? 0.1 : 0.3;
      auto& weight = p.at(name);
      double worst = 0, moved = 0;
      std::vector<double> after = weight;
      if (adam || wk || table || shape.rank() < 2) {
        ++ruled[adam ? "Adam" : "AdamW"];
        for (std::size_t i = 0; i < g.size(); ++i) {
          const double gi = g[i] * clip + (adam ? decay * weight[i] : 0);
          m[name][i] = 0.8 * m[name][i] + 0.2 * gi;
          v[name][i] = 0.97 * v[name][i] + 0.03 * gi * gi;
          const double mean = m[name][i] / (1 - std::pow(0.8, step)), square = v[name][i] / (1 - std::pow(0.97, step));
          after[i] = weight[i] * (adam ? 1 : 1 - lr * decay) - lr * mean / (std::sqrt(square) + 1e-6);
        }
      } else {
        ++ruled["Muon"];
        const auto rows = static_cast<std::size_t>(shape[-2]), cols = static_cast<std::size_t>(shape[-1]);
        const auto r = static_cast<double>(rows), k = static_cast<double>(cols);
        const double scale = nesterov ? std::sqrt(std::max(1.0, r / k)) : 0.2 * std::sqrt(std::max(r, k));
        for (std::size_t first = 0; first < g.size(); first += rows * cols) {  // an expert's matrix, or the only one
          std::vector<double> direction(rows * cols);
          for (std::size_t i = 0; i < rows * cols; ++i) {
            double& b = m[name][first + i];
            const double gi = g[first + i] * clip;
            b = 0.7 * b + 0.3 * gi;
            direction[i] = nesterov ? 0.3 * gi + 0.7 * b : b;
          }
          direction = orthogonalized(direction, rows, cols);
          for (std::size_t i = 0; i < rows * cols; ++i)
            after[first + i] = weight[first + i] * (1 - lr * decay) - lr * scale * direction[i];
        }
      }
      for (std::size_t i = 0; i < g.size(); ++i) {
        worst = std::max(worst, std::abs(now.at(name)[i] - after[i]));
        moved = std::max(moved, std::abs(now.at(name)[i] - weight[i]));
      }
      CHECK(worst < 1e-12);
      CHECK(moved > 1e-4);
      weight = after;
    }
  }
  CHECK(ruled.at("Adam") == 3 * 3);  // of layer 0 as well: the first group that matches counts
  CHECK(!shapes.contains("layers.0.attention.wq.weight"));
  CHECK(ruled.at("AdamW") > 10);
  CHECK(ruled.at("Muon") > 10);
}
