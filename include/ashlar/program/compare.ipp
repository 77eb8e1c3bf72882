// Definitions of compare.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <charconv>
#include <numeric>

#include "ashlar/checkpoint/load.hpp"
#include "ashlar/checkpoint/save.hpp"
#include "ashlar/config/json.hpp"
#include "ashlar/program/compare.hpp"
#include "ashlar/train/layout.hpp"

namespace ashlar::inline v0 {
namespace detail {

/// Degrees in words: "tp=2,pp=2"; those that are not named are 1.
inline Degrees parse_degrees(std::string_view text) {
  Degrees d{.dp_shard = 1};
  const std::pair<Axis, int*> axes[] = {{Axis::pp, &d.pp},
                                        {Axis::dp_replicate, &d.dp_replicate},
                                        {Axis::dp_shard, &d.dp_shard},
                                        {Axis::tp, &d.tp},
                                        {Axis::ep, &d.ep}};
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    const std::size_t equals = std::min(part.find('='), part.size());
    const auto axis = std::ranges::find(axes, part.substr(0, equals), [](auto& a) { return to_string(a.first); });
    const char* const end = part.data() + part.size();
    if (axis == std::end(axes) || equals + 1 >= part.size() ||
        std::from_chars(part.data() + equals + 1, end, *axis->second).ptr != end || *axis->second < 1)
      throw ConfigError(concat("--debug.layout ", text, ": \"", part,
                               "\" is no degree of an axis pp, dp_replicate, dp_shard, tp or ep, as tp=2 is"));
  }
  return d;
}

inline bool runs_beside(const Config& config) {
  return config.debug.compare == "layout";
}
inline int product_of_degrees(Config config) {
  config.plan.world_size = -1;
  return static_cast<int>(planned_world_size(config));
}
/// The reference on the same global batches.
inline Config reference_of(Config config) {
  config.parallelism = with_degrees(config.parallelism, parse_degrees(config.debug.layout));
  config.parallelism.pipeline_parallel_schedule_csv = "";
  return config;
}
/// One size of the global batch for any layout.
inline Config with_global_batch(Config config) {
  const ParallelismConfig& p = config.parallelism;
  if (config.training.global_batch_size < 0)
    config.training.global_batch_size =
        config.training.local_batch_size * p.data_parallel_replicate_degree * std::max(1, p.data_parallel_shard_degree);
  return config;
}

/// A range of a step's state, and when in the step it is made.
struct MadeRange {
  StateRange range;
  Moment moment;
  std::int64_t order;  // by it ranks agree what is made first
  std::int64_t micro_batch;
};

inline MadeRange made_range(const RecordedTensor& t) {
  StateRange r;
  r.layout = std::make_shared<const UnitLayout>(UnitLayout::of_box(t.name, t.whole, t.box));
  r.count = t.box.count();
  r.owned = t.copy ? 0 : r.count;
  r.dtype = t.dtype;
  const bool forward = t.phase == Phase::forward;
  r.prefix = forward ? "forward." : "backward.";
  r.download = [&t, width = size_of(t.dtype)](void* host, index_t n) {
    std::memcpy(host, t.values.data(), static_cast<std::size_t>(n) * width);
  };
  const std::int64_t stage = forward ? t.first_layer : 0xffff - t.first_layer;
  return {std::move(r), forward ? Moment::forward : Moment::backward,
          (stage << 40) + (std::int64_t{t.order} << 20) + t.micro_batch, t.micro_batch};
}

/// What the last step was made of, in program order. Sums over ranks are made. Collective.
inline std::vector<MadeRange> step_state(const ObservedRun& run) {
  std::vector<MadeRange> all;
  for (RecordedTensor& t : run.observed()) {
    if (t.sum_over) {
      std::vector<double> sum(static_cast<std::size_t>(t.box.count()));
      cast_elements(t.dtype, t.values.data(), DType::f64, reinterpret_cast<std::byte*>(sum.data()), t.box.count());
      run.mesh->group(*t.sum_over).reduce_values(std::span(sum));
      t.values.resize(sum.size() * sizeof(double));
      std::memcpy(t.values.data(), sum.data(), t.values.size());
      t.dtype = DType::f64;
      t.sum_over.reset();
    }
    all.push_back(made_range(t));
  }
  const std::int64_t stage = std::int64_t{run.mesh->coordinate(Axis::pp)} << 40;
  for (const Moment moment : {Moment::gradient, Moment::after_step}) {
    std::int64_t order = stage;
    for (const StateRange& r : moment == Moment::gradient ? run.gradients : run.weights)
      all.push_back({r, moment, order++, -1});
  }
  for (MadeRange& m : all) m.order += static_cast<std::int64_t>(m.moment) << 60;
  std::ranges::stable_sort(all, {}, &MadeRange::order);
  return all;
}

inline std::vector<double> values_of(const StateRange& range) {
  std::vector<std::byte> bytes(range.bytes(range.count));
  range.download(bytes.data(), range.count);
  std::vector<double> values(static_cast<std::size_t>(range.count));
  cast_elements(range.dtype, bytes.data(), DType::f64, reinterpret_cast<std::byte*>(values.data()), range.count);
  return values;
}

inline void record_step(const ObservedRun& run, const Config& config, Communicator world,
                        const std::filesystem::path& folder, std::int64_t step) {
  Manifest m;
  m.step = step;
  m.model_only = true;
  m.world_size = world.size();
  m.degrees = run.mesh->degrees();
  m.config = to_json(config);
  std::vector<StateRange> ranges;
  for (MadeRange& made : step_state(run)) ranges.push_back(std::move(made.range));
  save_checkpoint(step_folder(folder, step), ranges, std::move(m), world);
}

/// The text that rank `root` gave. Collective.
inline std::string broadcast_text(Communicator world, std::string text, int root) {
  text.resize(static_cast<std::size_t>(world.broadcast_value(static_cast<std::int64_t>(text.size()), root)));
  std::vector<std::int32_t> codes(text.begin(), text.end());
  Cpu::Queue here;
  world.broadcast<std::int32_t, Cpu>(here, {codes.data(), {std::ssize(codes)}}, root).wait(here);
  return {codes.begin(), codes.end()};
}

/// Compares the steps of a run with recorded ones, and keeps what it has seen.
class StepComparer {
 public:
  StepComparer(const ObservedRun& run, Communicator world, double tolerance)
      : run_(run),
        world_(std::move(world)),
        tolerance_(tolerance > 0 ? tolerance : default_tolerance(run.computed_in)) {
    for (const StateRange& r : run_.weights) start_.push_back(values_of(r));
  }

  /// Whether step `step` agrees with the one in the folder. Collective.
  bool compare(const std::filesystem::path& folder, std::int64_t step) {
    OpenCheckpoint reference = open_checkpoint(folder);
    const std::vector<MadeRange> state = step_state(run_);
    std::vector<StateRange> asked;
    for (const MadeRange& made : state) asked.push_back(made.range);
    check_nothing_left_over(reference.index, asked, world_);
    Difference first;
    std::int64_t order = std::numeric_limits<std::int64_t>::max();
    std::size_t weights = 0;
    for (const MadeRange& made : state) {
      const bool moves = made.moment == Moment::after_step;
      if (compare_range(reference.index, made, moves ? &start_[weights++] : nullptr, first)) {
        order = made.order;
        break;
      }
    }
    first.step = step;
    first.rank = world_.rank();
    const std::vector<std::int64_t> orders = world_.gather_values(order);
    const auto least = std::ranges::min_element(orders);
    ++result_.steps;
    result_.tensors += std::ssize(reference.index.tensors());
    if (*least == std::numeric_limits<std::int64_t>::max()) return true;
    result_.difference = broadcast_text(world_, to_string(first), static_cast<int>(least - orders.begin()));
    return false;
  }
  /// Collective.
  Comparison result() {
    const std::vector<double> all = world_.gather_values(result_.greatest);
    const int root = static_cast<int>(std::ranges::max_element(all) - all.begin());
    result_.where = broadcast_text(world_, result_.where, root);
    result_.greatest = all[static_cast<std::size_t>(root)];
    return result_;
  }

 private:
  // Whether a range differs from the reference, and where. `start`: of weights, their values before all steps.
  bool compare_range(TensorIndex& index, const MadeRange& made, const std::vector<double>* start, Difference& found) {
    const std::vector<double> values = values_of(made.range);
    const double tolerance = start ? weight_tolerance(tolerance_) : tolerance_;
    bool differs = false;
    std::vector<double> reference;
    made.range.layout->for_each_box(made.range.begin, made.range.begin + made.range.count, [&](const Box& box) {
      if (differs) return;
      const std::string name = made.range.name(box);
      const Shape& shape = made.range.shape(box);
      if (const Shape& stored = index.find(name).shape; stored != shape)
        fail(concat("tensor ", name, " is ", shape, " here, but ", stored,
                    " in the reference: was that of the same flavor, global batch and sequence length?"));
      const TensorBox part{box.offset, box.extent};
      reference.resize(static_cast<std::size_t>(part.count()));
      index.read(name, part, DType::f64, reinterpret_cast<std::byte*>(reference.data()));
      const auto here = [&](const std::vector<double>& all) {
        return std::span(all).subspan(static_cast<std::size_t>(box.begin - made.range.begin), reference.size());
      };
      const Distance d =
          start ? distance_moved(here(values), reference, here(*start)) : distance(here(values), reference);
      const std::string& plain = made.range.layout->entries()[box.parameter].info.name;
      if (!start && d.relative > result_.greatest) {
        result_.greatest = d.relative;
        result_.where = name;
      }
      if (d.relative <= tolerance) return;
      differs = true;
      found = {0,
               plain,
               made.moment,
               shape,
               element_of(part, d.at),
               here(values)[d.at],
               reference[d.at],
               d.relative,
               tolerance,
               0,
               made.micro_batch};
    });
    return differs;
  }

  const ObservedRun& run_;
  Communicator world_;
  double tolerance_;
  std::vector<std::vector<double>> start_;
  Comparison result_;
};

inline Communicator first_ranks(Communicator world, int n, const char* name) {
  std::vector<int> ranks(static_cast<std::size_t>(n));
  std::iota(ranks.begin(), ranks.end(), 0);
  return n == world.size() ? world : world.group(ranks, name);
}

/// A rank may have much more to do than another: they wait for each other.
inline void meet(Communicator& world) {
  world.set_timeout(std::chrono::hours(2));
  world.barrier();
}

}  // namespace detail

ASHLAR_ONCE int compared_ranks(const Config& config) {
  const int tested = detail::product_of_degrees(config);
  return detail::runs_beside(config) ? std::max(tested, detail::product_of_degrees(detail::reference_of(config)))
                                     : tested;
}

ASHLAR_ONCE std::int64_t record_run(const Config& given, Communicator world, const MakeRun& make) {
  const Config config = detail::with_global_batch(given);
  const ObservedRun run = make(config, world);
  std::int64_t step = 0;
  while (step < config.training.steps) {
    detail::meet(world);
    step = run.step();
    detail::meet(world);
    detail::record_step(run, config, world, config.debug.record, step);
  }
  return step;
}

ASHLAR_ONCE std::string to_string(const Comparison& c) {
  if (!c.difference.empty()) return c.difference;
  return concat(c.tensors, " tensors of ", c.steps, c.steps == 1 ? " step" : " steps", " agree; the greatest relative ",
                "difference is ", detail::digits(c.greatest, "%.2g"), c.where.empty() ? "" : ", in ", c.where);
}

ASHLAR_ONCE Comparison compare_runs(const Config& given, Communicator world, const MakeRun& make) {
  const Config config = detail::with_global_batch(given);
  const bool beside = detail::runs_beside(config);
  const std::filesystem::path folder =
      beside ? std::filesystem::path(config.job.dump_folder) / "compare" : std::filesystem::path(config.debug.compare);
  std::optional<ObservedRun> tested, reference;
  const int tested_ranks = beside ? detail::product_of_degrees(config) : world.size();
  Communicator tested_world, reference_world;
  const Config reference_config = beside ? detail::reference_of(config) : config;
  const int reference_ranks = beside ? detail::product_of_degrees(reference_config) : 0;
  if (std::max(tested_ranks, reference_ranks) > world.size())
    throw ConfigError(concat("--debug.compare layout takes ", std::max(tested_ranks, reference_ranks),
                             " ranks; start them, or one, which makes them threads"));
  if (world.rank() < reference_ranks) {
    reference_world = detail::first_ranks(world, reference_ranks, "reference");
    reference = make(reference_config, reference_world);
  }
  std::optional<detail::StepComparer> comparer;
  if (world.rank() < tested_ranks) {
    tested_world = detail::first_ranks(world, tested_ranks, "tested");
    tested = make(config, tested_world);
    comparer.emplace(*tested, tested_world, config.debug.tolerance);
  }
  bool agrees = true;
  std::int64_t step = 0, compared = 0;
  while (agrees && step < config.training.steps) {
    detail::meet(world);
    if (reference) {
      const std::int64_t n = reference->step();
      reference_world.set_timeout(std::chrono::hours(2));
      detail::record_step(*reference, reference_config, reference_world, folder, n);
    }
    detail::meet(world);
    if (tested) step = tested->step();
    detail::meet(world);
    step = world.broadcast_value(step, 0);
    const std::filesystem::path recorded = step_folder(folder, step);
    if (!is_complete(recorded)) break;
    if (comparer) agrees = comparer->compare(recorded, step);
    ++compared;
    agrees = world.reduce_value(std::int32_t{!agrees}, Reduce::max) == 0;
    if (beside && world.rank() == 0) remove_checkpoint(recorded);
  }
  if (compared == 0)
    throw ConfigError(concat("--debug.compare ", config.debug.compare, ": holds no step ", step,
                             "; fill a folder with --debug.record, or write layout"));
  std::error_code ignored;
  if (beside && world.rank() == 0) std::filesystem::remove(folder, ignored);
  return comparer ? comparer->result() : Comparison{};
}

}  // namespace ashlar::inline v0
