// Layout equivalence: the same global batches on one rank and on any layout give the same losses and the same
// parameters.
#pragma once

#include <cmath>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/train/trainer.hpp"
#include "catch.hpp"
#include "train/layouts.hpp"

namespace equivalence {
using namespace ashlar;

/// Whole parameters and buffers by name, put together from the ranks' parts.
using Tensors = std::map<std::string, std::vector<double>>;

struct Run {
  std::vector<double> losses, norms;
  Tensors tensors;
};

template <class M>
void collect(Trainer<M>& trainer, Tensors& all) {
  for (auto& stage : trainer.stages()) {
    for (auto& unit : stage->units()) {
      const auto collect_range = [&](index_t begin, const auto& values) {
        if (!values) return;
        unit->layout().for_each_box(begin, begin + values.count(), [&](const Box& box) {
          const auto& entry = unit->layout().entries()[box.parameter];
          auto& whole = all[entry.info.name];
          whole.resize(static_cast<std::size_t>(entry.info.shape.count()), NAN);
          for_each_run(entry.info.shape, box, [&](index_t logical, index_t local, index_t n) {
            for (index_t i = 0; i < n; ++i)
              whole[static_cast<std::size_t>(logical + i)] = values.data()[box.begin - begin + local + i];
          });
        });
      };
      collect_range(unit->shard_begin(), unit->master());
      collect_range(unit->frozen_begin(), unit->frozen_values());
    }
    for (const auto& buffer : stage->buffers())
      all[buffer.name].assign(buffer.values.data(), buffer.values.data() + buffer.values.count());
  }
}

/// `steps` steps of Recipe R in double on `ranks` threads.
template <class R>
Run run(const Config& config, int ranks, int steps) {
  using M = ModelOf<R, Cpu, double>;
  Run result;
  std::mutex mutex;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<Documents>());
    for (int i = 0; i < steps; ++i) {
      trainer.step(loader.next());
      const StepResult r = trainer.result();
      if (world.rank() == 0) {
        result.losses.push_back(r.loss);
        result.norms.push_back(r.grad_norm);
      }
    }
    const std::scoped_lock lock(mutex);
    collect(trainer, result.tensors);
  });
  return result;
}

struct Difference {
  double loss = 0;  // the largest relative difference of a step's loss
  double grad_norm = 0;
  double parameter = 0;  // the largest norm of a tensor's difference over its norm
  std::string worst;     // whose
};

inline Difference compare(const Run& a, const Run& b) {
  Difference d;
  const auto relative = [](double x, double y) { return std::abs(x - y) / std::abs(x); };
  REQUIRE(a.losses.size() == b.losses.size());
  // Whether r took the place of the largest so far. A NaN does, and stays: std::max would drop it.
  const auto raise = [](double& largest, double r) {
    const bool larger = r > largest || std::isnan(r);
    if (larger) largest = r;
    return larger;
  };
  for (std::size_t i = 0; i < a.losses.size(); ++i) {
    raise(d.loss, relative(a.losses[i], b.losses[i]));
    raise(d.grad_norm, relative(a.norms[i], b.norms[i]));
  }
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (const auto& [name, x] : a.tensors) {
    const auto found = b.tensors.find(name);
    REQUIRE(found != b.tensors.end());
    const auto& y = found->second;
    REQUIRE(x.size() == y.size());
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      difference += (x[i] - y[i]) * (x[i] - y[i]);
      norm += x[i] * x[i];
    }
    const double r = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
    if (raise(d.parameter, r)) d.worst = name;
  }
  return d;
}

/// One line a layout, in the order they were run; the table of docs/equivalence.md.
inline std::string table_row(const std::string& model, const std::string& layout, const Difference& d) {
  const auto rounded = [](double x) {
    if (x == 0) return std::string("0");
    return "below 1e" + std::to_string(static_cast<int>(std::ceil(std::log10(x))));
  };
  return "| " + model + " | " + layout + " | " + rounded(d.loss) + " | " + rounded(d.parameter) + " |\n";
}

}  // namespace equivalence
