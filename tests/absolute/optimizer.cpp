// Three steps of the optimizer are AdamW's formulas on the gradients (Loshchilov and Hutter 2019, arXiv:1711.05101,
// algorithm 2), with the global norm clipped, and with rates written out as numbers.
#include <cmath>

#include "absolute/trained.hpp"
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
