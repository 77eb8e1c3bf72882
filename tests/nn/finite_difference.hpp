// The gradient law that every module must pass: what backward returns and accumulates is what central differences of
// forward say, whatever is kept, recomputed or put off. Read next: tests/nn/linear.cpp, the shortest use.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ashlar/core/random.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/parallel/unit.hpp"
#include "catch.hpp"

namespace ashlar::test {

/// A module under test in f64 on one rank. A test fills `inputs`, `sequences` and the three functions, which own the
/// module and its Saved; the module declares its parameters in `declarations`.
template <class E>
struct Subject {
  using View = TensorView<double, Cpu>;
  using Views = std::vector<View>;

  Memory<Cpu> memory;
  Cpu::Queue queue;
  Declarations<E> declarations{memory, queue, {}, {}};
  Sequences<Cpu> sequences;
  double loss_scale = 1;
  std::vector<Tensor<double, Cpu>> inputs;
  std::vector<std::vector<std::int32_t>> ids;  // owns what `sequences` points to

  std::function<Views(Context<E>&, const Views& inputs)> forward;             // the outputs
  std::function<void(Context<E>&)> recompute;                                 // empty: nothing to make again
  std::function<Views(Context<E>&, const Views& output_gradients)> backward;  // gradients of the inputs, in order
  bool constant = false;       // the outputs do not depend on the inputs, nearly everywhere
  double output_gradient = 0;  // not 0: the one gradient that forward itself assumes (a loss)

  /// Adds an input of normal numbers.
  void add_input(const Shape& shape, double scale = 1) {
    inputs.emplace_back(memory, shape);
    fill(inputs.back().data(), inputs.back().count(), 100 + inputs.size(), scale);
  }
  /// Random ids below `n`, one a token.
  TensorView<const std::int32_t, Cpu> add_ids(index_t count, index_t n) {
    const RandomStream stream(5, ids.size());
    auto& list = ids.emplace_back();
    for (index_t i = 0; i < count; ++i)
      list.push_back(
          static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(n))));
    return {list.data(), {count}};
  }
  static void fill(double* data, index_t n, std::uint64_t seed, double scale) {
    const RandomStream stream(seed, 1);
    for (index_t i = 0; i < n; ++i) data[i] = scale * stream.normal(static_cast<std::uint64_t>(i));
  }
};

/// Runs a subject in every mode and compares with central differences.
template <class E>
class GradientLaw {
  static_assert(std::is_same_v<typename E::Compute, double> && std::is_same_v<typename E::Device, Cpu>);

 public:
  using Values = std::vector<std::vector<double>>;
  using View = TensorView<double, Cpu>;
  using Views = std::vector<View>;

  /// `weight_scale`: how large the parameters are.
  explicit GradientLaw(Subject<E>& subject, double weight_scale = 0.4)
      : s_(subject),
        declared_(subject.declarations.take()),
        unit_(declared_, UnitGroups{}, UnitOptions{}),
        kept_(subject.memory, arena_bytes),
        scratch_(subject.memory, arena_bytes) {
    unit_.allocate(s_.memory, s_.queue, nullptr, nullptr);
    for (std::size_t p = 0; p < entries().size(); ++p)
      Subject<E>::fill(parameter(p), entries()[p].local_shape.count(), 1000 + p, weight_scale);
    for (auto& x : s_.inputs) inputs_.push_back(x.view());
    const auto outputs = evaluate();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      output_weights_.emplace_back(outputs[i].size());
      Subject<E>::fill(output_weights_[i].data(), static_cast<index_t>(outputs[i].size()), 2000 + i, 1);
      if (s_.output_gradient != 0) output_weights_[i].assign(outputs[i].size(), s_.output_gradient);
    }
  }

  void check() {
    const Pass all = pass(Keep::all, false);
    {
      INFO("a second micro-batch adds to the first one's gradients");
      const Pass twice = pass(Keep::all, false, false);
      for (std::size_t p = 0; p < entries().size(); ++p)
        for (std::size_t i = 0; i < all.parameters[p].size(); ++i)
          if (!(twice.parameters[p][i] == Approx(2 * all.parameters[p][i]).epsilon(1e-9).margin(1e-12)))
            FAIL_CHECK(entries()[p].info.name << ", element " << i);
    }
    {
      INFO("without saving");
      CHECK(same(evaluate(), all.outputs));
    }
    for (const Keep keep : {Keep::all, Keep::selected})
      for (const bool deferred : {false, true}) {
        INFO((keep == Keep::all ? "Keep::all" : "Keep::selected") << (deferred ? ", deferred" : ""));
        const Pass other = pass(keep, deferred);
        CHECK(same(other.outputs, all.outputs));
        CHECK(same(other.inputs, all.inputs));
        CHECK(same(other.parameters, all.parameters));
      }
    for (const bool deferred : {false, true}) check_frozen(all, deferred);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      INFO("input " << i);
      compare(inputs_[i].data(), all.inputs[i]);
    }
    for (std::size_t p = 0; p < entries().size(); ++p) {
      if (!entries()[p].info.trainable) continue;
      INFO("parameter " << entries()[p].info.name);
      compare(parameter(p), all.parameters[p]);
    }
  }

  /// The outputs of a forward that saves nothing.
  Values evaluate() {
    poison(scratch_);
    Context<E> c = context();
    Values out;
    for (const View& y : s_.forward(c, inputs_)) out.emplace_back(y.data(), y.data() + y.count());
    scratch_.clear();
    return out;
  }
  Unit<E>& unit() { return unit_; }

 private:
  struct Pass {
    Values outputs, inputs, parameters;  // the last two: gradients
  };
  static constexpr std::size_t arena_bytes = std::size_t{1} << 20;
  static constexpr std::size_t most_samples = 32;

  const std::vector<UnitLayout::Entry>& entries() const { return unit_.layout().entries(); }
  double* parameter(std::size_t p) {
    const auto& e = entries()[p];
    return e.info.trainable ? unit_.master().data() + e.begin
                            : unit_.frozen_values().data() + (e.begin - unit_.frozen_begin());
  }

  Context<E> context() {
    Context<E> c(s_.queue, scratch_);
    c.streams[0] = s_.sequences;
    c.loss_scale = s_.loss_scale;
    return c;
  }
  // Whoever reads what was not written, or is gone, computes with NaN.
  static void poison(Arena<Cpu>& arena) {
    arena.clear();
    View all = arena.push<double>({static_cast<index_t>(arena_bytes / sizeof(double))});
    std::fill_n(all.data(), all.count(), std::numeric_limits<double>::quiet_NaN());
    arena.clear();
  }

  // With every weight frozen, the inputs' gradients are the same, and no weight's is computed: there is no memory for
  // it.
  void check_frozen(const Pass& all, bool deferred) {
    INFO("all weights are frozen" << (deferred ? ", deferred" : ""));
    struct Bound {
      TensorView<const double, Cpu> value;
      View gradient;
      bool trainable;
    };
    std::vector<Bound> bound;
    auto frozen = declared_;
    for (auto& e : frozen) {
      bound.push_back({e.parameter->value, e.parameter->gradient, e.parameter->trainable});
      e.parameter->gradient = {};
      e.parameter->trainable = e.info.trainable = false;
    }
    Unit<E> unit(frozen, UnitGroups{}, UnitOptions{});
    unit.allocate(s_.memory, s_.queue, nullptr, nullptr);
    CHECK(unit.master().count() == 0);
    for (const auto& e : unit.layout().entries())
      for (std::size_t p = 0; p < entries().size(); ++p)
        if (e.info.name == entries()[p].info.name)
          std::copy_n(parameter(p), e.local_shape.count(), unit.frozen_values().data() + e.begin);
    const Pass without = pass(Keep::all, deferred, false, false);
    CHECK(same(without.outputs, all.outputs));
    CHECK(same(without.inputs, all.inputs));
    for (std::size_t i = 0; i < frozen.size(); ++i) {
      CHECK(frozen[i].parameter->gradient.data() == nullptr);
      frozen[i].parameter->value = bound[i].value;
      frozen[i].parameter->gradient = bound[i].gradient;
      frozen[i].parameter->trainable = bound[i].trainable;
    }
  }

  Pass pass(Keep keep, bool deferred, bool fresh = true, bool trained = true) {
    poison(kept_);
    poison(scratch_);
    if (fresh) unit_.begin_step(s_.queue);
    Pass out;
    Context<E> c = context();
    c.kept_arena = &kept_;
    c.keep = keep;
    for (const View& y : s_.forward(c, inputs_)) out.outputs.emplace_back(y.data(), y.data() + y.count());
    poison(scratch_);
    c.phase = Phase::backward;
    DeferredGradients later;
    if (deferred) c.deferred = &later;
    if (keep == Keep::selected && s_.recompute) {
      c.recomputing = true;
      s_.recompute(c);
      c.recomputing = false;
    }
    Values copies = output_weights_;
    Views output_gradients;
    for (auto& w : copies) output_gradients.emplace_back(w.data(), Shape{static_cast<index_t>(w.size())});
    for (const View& dx : s_.backward(c, output_gradients)) out.inputs.emplace_back(dx.data(), dx.data() + dx.count());
    poison(scratch_);
    for (auto& w : copies) std::fill(w.begin(), w.end(), std::numeric_limits<double>::quiet_NaN());
    later.run();
    if (trained)
      for (const auto& e : entries()) {
        const double* g = unit_.gradient().data() + (e.info.trainable ? e.begin : 0);
        out.parameters.emplace_back(g, g + (e.info.trainable ? e.local_shape.count() : 0));
      }
    REQUIRE(scratch_.high_water() <= arena_bytes);  // or poison() does not reach all of it
    REQUIRE(kept_.high_water() <= arena_bytes);
    return out;
  }

  // Bit by bit, so that NaN never passes for agreement with a number.
  static bool same(const Values& a, const Values& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i].size() != b[i].size() ||
          (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(double)) != 0))
        return false;
    return true;
  }

  double functional() {
    const Values outputs = evaluate();
    double sum = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i)
      for (std::size_t j = 0; j < outputs[i].size(); ++j) sum += output_weights_[i][j] * outputs[i][j];
    return sum;
  }
  // Four points: the error of the formula is of order step^4.
  double difference(double& x) {
    constexpr double step = 2e-4;
    const double before = x;
    const auto at = [&](double offset) {
      x = before + offset;
      return functional();
    };
    const double near = at(step) - at(-step), far = at(2 * step) - at(-2 * step);
    x = before;
    return (8 * near - far) / (12 * step);
  }
  // All elements of small tensors, a sample of large ones.
  void compare(double* values, const std::vector<double>& gradient) {
    double largest = 0;
    for (double g : gradient) largest = std::max(largest, std::abs(g));
    CHECK((largest > 1e-12) == !s_.constant);
    const RandomStream stream(3, gradient.size());
    const std::size_t samples = std::min(most_samples, gradient.size());
    double worst = 0;
    for (std::size_t k = 0; k < samples; ++k) {
      const std::size_t i = samples == gradient.size() ? k : static_cast<std::size_t>(stream.below(k, gradient.size()));
      const double error =
          std::abs(difference(values[i]) - gradient[i]) / (std::abs(gradient[i]) + 1e-2 * (largest + s_.constant));
      worst = error <= worst ? worst : std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    }
    CHECK(worst < 1e-6);
  }

  Subject<E>& s_;
  typename Unit<E>::Entries declared_;
  Unit<E> unit_;
  Arena<Cpu> kept_, scratch_;
  Views inputs_;
  Values output_weights_;
};

}  // namespace ashlar::test
