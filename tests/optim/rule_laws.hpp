// What every rule of the optimizer must do. rule_laws<R>() checks it; a new rule's test is one call.
// Read next: ashlar/optim/rule.hpp.
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/optim/optimize.hpp"
#include "catch.hpp"

namespace ashlar::test {

/// A unit of parameters of every kind that R takes, and R's optimizer over it: matrices cut by tp along rows, along
/// columns and not at all, matrices in a stack, a vector, a frozen matrix.
template <class R, class T, class D = Cpu>
class RuleBench {
 public:
  using E = Environment<D, T, ddp * fsdp * tp>;
  using A = typename E::Master;
  using Tensors = std::map<std::string, std::vector<double>>;

  explicit RuleBench(const Degrees& degrees, Communicator world = {}, const OptimizerConfig& options = options_of())
      : mesh(degrees, world), groups(options, Optimize<R>::notes()) {
    const Communicator tensor = mesh.group(Axis::tp);
    Declarations<E> d(memory, queue, {tensor.rank(), tensor.size()}, {});
    d.classify_by([this](ParameterInfo& info) { groups.classify(info); });
    const auto add = [&](ParameterInfo info) {
      if (R::takes(info)) d.add(*parameters.emplace_back(std::make_unique<Parameter<E>>()), std::move(info));
    };
    const Initializer normal = Initializer::normal(1);
    add({"rows", {8, 10}, normal, {{Axis::tp, 0}}});
    add({"columns", {9, 6}, normal, {{Axis::tp, 1}}});
    add({"whole", {7, 5}, normal, {}});
    add({"stack", {3, 4, 6}, normal, {}});
    add({"vector", {13}, normal, {}});
    add({"base", {5, 5}, normal, {}, false, false});
    unit = std::make_unique<Unit<E>>(d.take(),
                                     UnitGroups{mesh.group(Axis::dp_shard), mesh.group(Axis::dp_replicate), tensor},
                                     UnitOptions{false, false});
    unit->allocate(memory, queue, nullptr, nullptr);
    unit->initialize(queue, 3);
    optimizer = std::make_unique<Optimizer<E, R>>(memory, queue, mesh, std::vector{unit.get()}, options, groups);
  }
  static OptimizerConfig options_of() {
    OptimizerConfig o;
    o.groups = {{.names = "whole", .lr_factor = 0.5, .weight_decay = 0.0}};
    return o;
  }

  /// A step on gradients that are functions of step, name and element, times `times`.
  void step(std::int64_t number, double lr = 0.1, double times = 1, double max_norm = 0) {
    unit->begin_step(queue);
    const auto gradient = unit->gradient();
    for_each(unit->shard_begin(), gradient, [&](const std::string& name, index_t logical, A& value) {
      const RandomStream stream(static_cast<std::uint64_t>(number), hash_name(name));
      value = static_cast<A>(times * stream.normal(static_cast<std::uint64_t>(logical)));
    });
    const std::vector<A> before(gradient.data(), gradient.data() + gradient.count());
    optimizer->step(queue, number, lr, max_norm);
    for (index_t i = 0; i < gradient.count(); ++i)  // they are still there to be looked at
      if (!(gradient.data()[i] == before[static_cast<std::size_t>(i)])) fail("the rule has changed a gradient");
  }

  /// f(parameter's name, logical element, value) for this rank's elements.
  template <class View, class F>
  void for_each(index_t begin, const View& values, F&& f) {
    unit->layout().for_each_box(begin, begin + values.count(), [&](const Box& box) {
      const ParameterInfo& info = unit->layout().entries()[box.parameter].info;
      for_each_run(info.shape, box, [&](index_t logical, index_t local, index_t n) {
        for (index_t i = 0; i < n; ++i) f(info.name, logical + i, values.data()[box.begin - begin + local + i]);
      });
    });
  }
  /// Adds this rank's part of weights and states, by name.
  void collect(Tensors& all) {
    const auto put = [&](const std::string& prefix, index_t begin, const auto& values) {
      for_each(begin, values, [&](const std::string& name, index_t logical, auto& value) {
        auto& whole = all[prefix + name];
        if (static_cast<index_t>(whole.size()) <= logical) whole.resize(static_cast<std::size_t>(logical) + 1, NAN);
        whole[static_cast<std::size_t>(logical)] = static_cast<double>(value);
      });
    };
    put("", unit->shard_begin(), unit->master());
    if (unit->compute_copy()) put("copy.", unit->shard_begin(), unit->compute_copy());
    put("frozen.", unit->frozen_begin(), unit->frozen_values());
    for (const RuleUnit<E>& u : optimizer->rule_units())
      for (const auto& s : u.spans)
        for (std::size_t i = 0; i < s.states.size(); ++i)
          put(concat(optimizer->state_names(u.rule)[i], "."), s.begin, s.states[i]);
  }
  Tensors collected() {
    Tensors all;
    collect(all);
    return all;
  }

  Memory<D> memory;
  typename D::Queue queue;
  Mesh mesh;
  ParameterGroups groups;
  std::vector<std::unique_ptr<Parameter<E>>> parameters;
  std::unique_ptr<Unit<E>> unit;
  std::unique_ptr<Optimizer<E, R>> optimizer;
};

inline double largest_difference(const std::map<std::string, std::vector<double>>& a,
                                 const std::map<std::string, std::vector<double>>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (const auto& [name, values] : a) {
    REQUIRE(b.contains(name));
    REQUIRE(b.at(name).size() == values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double d = std::abs(values[i] - b.at(name)[i]);
      worst = d <= worst ? worst : std::isnan(d) ? INFINITY : d;
    }
  }
  return worst;
}

/// The laws for rule R. `moment_free`: its weights move against the gradient from the first step on.
template <class R>
void rule_laws() {
  INFO(R::name);
  using Bench = RuleBench<R, double>;
  const Degrees one;
  const std::string name(R::name);
  CHECK((!name.empty() && name != ParameterGroups::frozen));
  const std::set<std::string_view> states(R::states.begin(), R::states.end());
  CHECK(states.size() == R::states.size());
  CHECK(!states.contains(""));

  Bench alone(one);
  const auto start = alone.collected();
  for (int t = 1; t <= 3; ++t) alone.step(t);
  const auto end = alone.collected();
  for (const auto& [tensor, values] : end) {
    INFO(tensor);
    CHECK((values != start.at(tensor)) == !tensor.starts_with("frozen."));  // everything but what is frozen moves
    for (double x : values) REQUIRE(std::isfinite(x));
  }
  {
    INFO("the same steps give the same bits");
    Bench again(one);
    for (int t = 1; t <= 3; ++t) again.step(t);
    CHECK(again.collected() == end);
  }
  {
    INFO("padding stays zero");
    const auto master = alone.unit->master();
    double sum = 0, inside = 0;
    for (index_t i = 0; i < master.count(); ++i) sum += std::abs(master.data()[i]);
    alone.for_each(0, master, [&](const std::string&, index_t, double x) { inside += std::abs(x); });
    CHECK(sum == Approx(inside).epsilon(1e-12));
  }
  {
    INFO("every layout equals one rank");
    for (const Degrees& d : {Degrees{.dp_shard = 2}, Degrees{.dp_shard = 5}, Degrees{.dp_shard = 1, .tp = 2},
                             Degrees{.dp_shard = 3, .tp = 2}, Degrees{.dp_replicate = 2, .dp_shard = 2}}) {
      CAPTURE(d.dp_replicate, d.dp_shard, d.tp);
      typename Bench::Tensors all;
      std::mutex mutex;
      LocalWorld::run(d.dp_replicate * d.dp_shard * d.tp, [&](Communicator world) {
        Bench part(d, world);
        for (int t = 1; t <= 3; ++t) part.step(t);
        const std::scoped_lock lock(mutex);
        part.collect(all);
      });
      CHECK(largest_difference(end, all) < 1e-11);
    }
  }
  {
    INFO("what a rule remembers is in its states: they carry a run over");
    Bench first(one), second(one);
    for (int t = 1; t <= 2; ++t) first.step(t);
    const auto copy = [](const auto& from, const auto& to) { std::copy_n(from.data(), from.count(), to.data()); };
    copy(first.unit->master(), second.unit->master());
    for (std::size_t s = 0; s < first.optimizer->rule_units()[0].spans.size(); ++s)
      for (std::size_t i = 0; i < R::states.size(); ++i)
        copy(first.optimizer->rule_units()[0].spans[s].states[i], second.optimizer->rule_units()[0].spans[s].states[i]);
    second.step(3);
    CHECK(second.collected() == end);
  }
  {
    INFO("gradients are multiplied by what clips them");
    Bench clipped(one), smaller(one);
    for (int t = 1; t <= 2; ++t) {
      clipped.step(t, 0.1, 8, 1.5);
      double norm = static_cast<double>(clipped.optimizer->norm_and_scale().data()[0]);
      smaller.step(t, 0.1, 8 * 1.5 / (norm + 1e-6));
    }
    CHECK(largest_difference(clipped.collected(), smaller.collected()) < 1e-11);
  }
  {
    INFO("a gradient that is not finite leaves weights and states as they are");
    Bench skipping(one);
    skipping.step(1);
    const auto before = skipping.collected();
    for (const double times : {1e300 * 1e300, 1e200}) {  // the norm overflows
      skipping.step(2, 0.1, times == INFINITY ? 1e308 * 1e2 : times);
      CHECK(skipping.collected() == before);
    }
  }
  {
    INFO("the first step goes downhill, in proportion to the rate, by a group's own");
    OptimizerConfig o;
    o.weight_decay = 0;
    o.groups = {{.names = "whole", .lr_factor = 0.25}};
    Bench still({}, {}, o), slow({}, {}, o), fast({}, {}, o);
    still.step(1, 0);
    slow.step(1, 1e-3);
    fast.step(1, 2e-3);
    const auto a = still.collected(), b = slow.collected(), c = fast.collected();
    std::map<std::string, double> along, moved;
    still.for_each(0, still.unit->gradient(), [&](const std::string& tensor, index_t i, double g) {
      const auto at = static_cast<std::size_t>(i);
      CHECK(a.at(tensor)[at] == start.at(tensor)[at]);
      const double step = b.at(tensor)[at] - a.at(tensor)[at];
      CHECK(c.at(tensor)[at] - a.at(tensor)[at] == Approx(2 * step).epsilon(1e-9).margin(1e-12));
      along[tensor] += step * g;
      moved[tensor] += step * step;
    });
    for (const auto& [tensor, x] : along) {
      INFO(tensor);
      CHECK(x < 0);
    }
    o.groups = {};
    Bench uniform({}, {}, o);
    uniform.step(1, 1e-3);
    const auto u = uniform.collected();
    if (u.contains("whole"))
      for (std::size_t i = 0; i < u.at("whole").size(); ++i)
        CHECK(b.at("whole")[i] - a.at("whole")[i] ==
              Approx(0.25 * (u.at("whole")[i] - a.at("whole")[i])).epsilon(1e-9).margin(1e-12));
  }
  {
    INFO("weight decay alone makes weights smaller");
    OptimizerConfig o;
    o.weight_decay = 0.5;
    Bench decaying({}, {}, o);
    decaying.step(1, 1e-2, 0);
    const auto after = decaying.collected();
    for (const auto& [tensor, values] : after) {
      if (!start.contains(tensor) || tensor.find('.') != std::string::npos) continue;
      double before_sum = 0, after_sum = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        before_sum += std::abs(start.at(tensor)[i]);
        after_sum += std::abs(values[i]);
      }
      INFO(tensor);
      CHECK(after_sum < before_sum);
    }
  }
  {
    INFO("the copy in bf16 is the rounded master weight");
    RuleBench<R, bf16> rounded(one);
    for (int t = 1; t <= 2; ++t) rounded.step(t);
    const auto all = rounded.collected();
    for (const auto& [tensor, values] : all)
      if (all.contains("copy." + tensor))
        for (std::size_t i = 0; i < values.size(); ++i)
          CHECK(all.at("copy." + tensor)[i] == double(float(bf16(static_cast<float>(values[i])))));
    CHECK(all.contains("copy.rows"));
  }
  {
    INFO("a plan counts the same bytes");
    RuleBench<R, float> held(one);
    RuleBench<R, float, Meta> planned(one);
    planned.unit->begin_step(planned.queue);
    planned.optimizer->step(planned.queue, 1, 0.1, 0);
    held.step(1);
    CHECK(planned.memory.persistent() == held.memory.persistent());
    CHECK(planned.queue.total.flops > 0);
  }
}

}  // namespace ashlar::test
