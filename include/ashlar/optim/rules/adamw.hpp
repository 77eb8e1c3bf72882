// AdamW and Adam: one kernel a span. Read next: ops/adamw/adamw.hpp.
#pragma once

#include <array>
#include <cmath>

#include "ashlar/ops/adamw/adamw.hpp"
#include "ashlar/optim/rule.hpp"

namespace ashlar::inline v0 {

/// `coupled`: weight decay is added to the gradient, not to the step.
template <class E, bool coupled>
class AdamModule {
 public:
  using D = typename E::Device;

  AdamModule(Memory<D>&, typename D::Queue&, const OptimizerConfig& options, const std::vector<RuleUnit<E>*>&)
      : options_(options) {}

  void step(typename D::Queue& queue, RuleUnit<E>& unit, const UpdateStep<E>& step) {
    const double beta1 = options_.beta1, beta2 = options_.beta2, t = static_cast<double>(step.step);
    for (UpdateSpan<E>& s : unit.spans) {
      const double lr = step.lr * s.lr_factor, correction1 = 1 - std::pow(beta1, t),
                   correction2 = 1 - std::pow(beta2, t);
      const ops::AdamWStep numbers{lr, beta1, beta2, options_.eps, s.weight_decay, correction1, correction2, coupled};
      ops::adamw<typename E::Compute>(queue, numbers, step.gradient_scale, s.gradient, s.master, s.states[0],
                                      s.states[1], s.copy);
    }
  }

 private:
  OptimizerConfig options_;
};

/// Loshchilov and Hutter 2019, arXiv:1711.05101.
struct AdamW {
  static constexpr std::string_view name = "AdamW";
  static constexpr std::array<std::string_view, 2> states{"exp_avg", "exp_avg_sq"};
  static bool takes(const ParameterInfo&) { return true; }
  template <class E>
  using Module = AdamModule<E, false>;
};

/// Kingma and Ba 2015, arXiv:1412.6980, with weight decay as an L2 term of the loss.
struct Adam {
  static constexpr std::string_view name = "Adam";
  static constexpr std::array<std::string_view, 2> states = AdamW::states;
  static bool takes(const ParameterInfo&) { return true; }
  template <class E>
  using Module = AdamModule<E, true>;
};

}  // namespace ashlar::inline v0
