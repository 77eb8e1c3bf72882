#include "ashlar/parallel/unit.hpp"

#include <memory>

#include "ashlar/comm/local.hpp"
#include "ashlar/mesh/mesh.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

template <class T>
using E = Environment<Cpu, T, ddp * fsdp * tp>;

void expect(bool holds, std::string_view what) {
  if (!holds) fail(concat("units: ", what));
}

// Three blocks without arithmetic: what is checked is which values they see and where their gradients go. Parameter 0
// is cut over tp, parameter 1 is not; 2 and 3 are the same, and frozen. Of the last block, all is frozen.
template <class T>
class Blocks {
 public:
  static constexpr int count = 3;

  Blocks(Communicator world, const Degrees& degrees, const UnitOptions& options, int pool_slots)
      : mesh_(degrees, world), rank_(world.rank()) {
    const auto tensor = mesh_.group(Axis::tp);
    for (int u = 0; u < count; ++u) {
      Declarations<E<T>> d(memory_, queue_, {tensor.rank(), tensor.size()}, {});
      Declarations<E<T>> in = d.in("layers." + std::to_string(u));
      auto& p = parameters_[static_cast<std::size_t>(u)];
      const bool trainable = u + 1 < count;
      in.add(p[0], {"cut", {4 + 2 * u, 7}, Initializer::normal(1), {{Axis::tp, 0}}, false, trainable});
      in.add(p[1], {"whole", {5}, Initializer::normal(1), {}, false, trainable});
      in.add(p[2], {"frozen_cut", {6, 9 - u}, Initializer::normal(1), {{Axis::tp, 0}}, false, false});
      in.add(p[3], {"frozen_whole", {3}, Initializer::normal(1), {}, false, false});
      units_.push_back(std::make_unique<Unit<E<T>>>(
          d.take(), UnitGroups{mesh_.group(Axis::dp_shard), mesh_.group(Axis::dp_replicate), tensor}, options));
    }
    index_t largest = 0, most_trained = 0;
    for (auto& unit : units_) {
      largest = std::max(largest, unit->size());
      most_trained = std::max(most_trained, unit->layout().trained().size);
    }
    values_ = std::make_unique<BufferPool<T, Cpu>>(memory_, pool_slots, largest);
    gradients_ = std::make_unique<BufferPool<Acc<T>, Cpu>>(memory_, pool_slots, most_trained);
    for (auto& unit : units_) {
      unit->allocate(memory_, queue_, values_.get(), gradients_.get());
      unit->initialize(queue_, seed);
    }
  }

  // One step of `micro_batches`, as a stage does it; then an optimizer that adds 1 to every weight.
  void step(int micro_batches) {
    for (auto& unit : units_) unit->begin_step(queue_);
    for (int m = 0; m < micro_batches; ++m) {
      for (int u = 0; u < count; ++u) visit(u, u + 1);
      for (int u = count; u-- > 0;) {
        Unit<E<T>>& unit = *units_[static_cast<std::size_t>(u)];
        unit.acquire();
        if (u > 0) units_[static_cast<std::size_t>(u - 1)]->prefetch();
        unit.begin_gradient(queue_);
        for (int p = 0; p < 2; ++p) {
          const auto& parameter = parameters_[static_cast<std::size_t>(u)][static_cast<std::size_t>(p)];
          if (!parameter.trainable) continue;
          const auto g = parameter.gradient;
          for (index_t i = 0; i < g.count(); ++i) g.data()[i] += fake(rank_, m, u, p, i);
        }
        unit.end_gradient(queue_, m + 1 == micro_batches);
        check_values(u);
        unit.release();
      }
    }
    for (auto& unit : units_) unit->finish();
    for (int u = 0; u < count; ++u) check_gradients(u, micro_batches);
    for (auto& unit : units_) {
      for (index_t i = 0; i < unit->shard_size(); ++i) unit->master().data()[i] += 1;
      if (std::is_same_v<T, bf16>)
        unit->publish(queue_);
      else
        unit->invalidate();
    }
    ++steps_;
  }

  // A step that an exception ended: `begun` gradients were begun, of which all but the last were handed over.
  void interrupted_step(int begun) {
    for (auto& unit : units_) unit->begin_step(queue_);
    for (int u = count; u-- > count - begun;) {
      Unit<E<T>>& unit = *units_[static_cast<std::size_t>(u)];
      unit.acquire();
      unit.begin_gradient(queue_);
      for (auto& p : parameters_[static_cast<std::size_t>(u)])
        if (p.trainable)
          for (index_t i = 0; i < p.gradient.count(); ++i) p.gradient.data()[i] += 99;
      if (u > count - begun) {
        unit.end_gradient(queue_, true);
        unit.release();
      }
    }
  }

  // A block's forward, with the gather of block `next` (none of them: -1) under way.
  void visit(int u, int next) {
    units_[static_cast<std::size_t>(u)]->acquire();
    prefetch(next);
    check_values(u);
    units_[static_cast<std::size_t>(u)]->release();
  }
  void prefetch(int u) {
    if (u >= 0 && u < count) units_[static_cast<std::size_t>(u)]->prefetch();
  }

 private:
  static constexpr std::uint64_t seed = 5;

  // Small whole numbers: sums are exact in any order.
  static Acc<T> fake(int rank, int m, int u, int p, index_t i) {
    return static_cast<Acc<T>>((rank * 7 + m * 5 + u * 3 + p + static_cast<int>(i) * 11) % 17);
  }
  void check_values(int u) {
    const auto& layout = units_[static_cast<std::size_t>(u)]->layout();
    for (const auto& e : layout.entries()) {
      const auto& p = parameter(u, e);
      std::vector<Acc<T>> all(static_cast<std::size_t>(e.info.shape.count()));
      InitialValues(e.info.initializer, seed, e.info.name).fill(0, e.info.shape.count(), all.data());
      const index_t first = e.local_offset[0] * (e.info.shape.count() / e.info.shape[0]);
      expect(p.value.count() == e.local_shape.count(), "a value has the local shape");
      for (index_t i = 0; i < p.value.count(); ++i) {
        const Acc<T> master =
            all[static_cast<std::size_t>(first + i)] + static_cast<Acc<T>>(e.info.trainable ? steps_ : 0);
        expect(std::abs(static_cast<double>(p.value.data()[i]) - static_cast<double>(T(master))) < 1e-5,
               concat("block ", u, " computes with the current weights after ", steps_, " steps"));
      }
    }
  }
  void check_gradients(int u, int micro_batches) {
    auto& unit = *units_[static_cast<std::size_t>(u)];
    std::vector<double> want(static_cast<std::size_t>(unit.layout().trained().size));
    const auto tensor = mesh_.group(Axis::tp);
    for (const auto& e : unit.layout().entries()) {
      if (!e.info.trainable) {
        expect(!parameter(u, e).gradient && !parameter(u, e).trainable, "what is frozen has no gradient");
        continue;
      }
      for (int r = 0; r < mesh_.world().size(); ++r) {
        const bool cut = &parameter(u, e) == &parameters_[static_cast<std::size_t>(u)][0];
        if (cut && coordinates_of(mesh_.degrees(), r).tp != tensor.rank()) continue;
        for (int m = 0; m < micro_batches; ++m)
          for (index_t i = 0; i < e.local_shape.count(); ++i)
            want[static_cast<std::size_t>(e.begin + i)] += static_cast<double>(fake(r, m, u, cut ? 0 : 1, i));
      }
    }
    const auto got = unit.gradient();
    expect(got.count() == unit.shard_size(), "a rank's gradient has its shard's size");
    for (index_t i = 0; i < got.count(); ++i)
      expect(static_cast<double>(got.data()[i]) == want[static_cast<std::size_t>(unit.shard_begin() + i)],
             concat("block ", u, ": the gradient is the sum over ranks and micro-batches, at ", i));
  }
  const Parameter<E<T>>& parameter(int u, const UnitLayout::Entry& e) const {
    const int whole = e.info.name.ends_with("cut") ? 0 : 1, frozen = e.info.name.find("frozen") != std::string::npos;
    return parameters_[static_cast<std::size_t>(u)][2 * frozen + whole];
  }

  Mesh mesh_;
  int rank_, steps_ = 0;
  Memory<Cpu> memory_;
  Cpu::Queue queue_;
  Parameter<E<T>> parameters_[count][4];
  std::unique_ptr<BufferPool<T, Cpu>> values_;
  std::unique_ptr<BufferPool<Acc<T>, Cpu>> gradients_;
  std::vector<std::unique_ptr<Unit<E<T>>>> units_;
};

Degrees degrees(int replicate, int shard, int tensor = 1) {
  Degrees d;
  d.dp_replicate = replicate;
  d.dp_shard = shard;
  d.tp = tensor;
  return d;
}

template <class T>
void check_steps(const Degrees& d, const UnitOptions& options, int pool_slots) {
  INFO("dp_replicate " << d.dp_replicate << ", dp_shard " << d.dp_shard << ", tp " << d.tp << ", reshard "
                       << options.reshard << ", reduce_each_micro_batch " << options.reduce_each_micro_batch << ", "
                       << pool_slots << " buffers");
  CHECK_NOTHROW(LocalWorld::run(d.dp_replicate * d.dp_shard * d.tp, [&](Communicator world) {
    Blocks<T> blocks(world, d, options, pool_slots);
    for (const int micro_batches : {1, 3, 2}) blocks.step(micro_batches);
    for (int u = 0; u < Blocks<T>::count; ++u) blocks.visit(u, -1);
  }));
}

}  // namespace

TEST_CASE("gradients are summed and weights are current, for every cut, option and number of buffers") {
  for (const int replicate : {1, 2})
    for (const int shard : {1, 2, 4})
      for (const bool reshard : {false, true})
        for (const bool each : {false, true})
          for (const int slots : {2, 4, 6}) check_steps<float>(degrees(replicate, shard), {reshard, each}, slots);
}

TEST_CASE("gradients that are partial over tp are summed over it, others are not") {
  for (const int shard : {1, 2})
    for (const bool each : {false, true}) check_steps<float>(degrees(1, shard, 2), {true, each}, 2);
}

TEST_CASE("what is gathered is the bf16 copy of the master weights") {
  for (const int shard : {1, 2})
    for (const bool reshard : {false, true}) check_steps<bf16>(degrees(1, shard), {reshard, true}, 2);
}

TEST_CASE("steps that were interrupted leave nothing to the next one") {
  for (const bool reshard : {false, true})
    for (const bool each : {false, true})
      CHECK_NOTHROW(LocalWorld::run(2, [&](Communicator world) {
        Blocks<float> blocks(world, degrees(1, 2), {reshard, each}, 2);
        for (int begun = 1; begun <= Blocks<float>::count; ++begun) {
          blocks.interrupted_step(begun);
          blocks.interrupted_step(begun);
          blocks.step(2);
        }
      }));
}

TEST_CASE("what was gathered ahead and not used gives way, and is gathered again") {
  const auto body = [](Communicator world) {
    Blocks<float> blocks(world, degrees(1, world.size()), {true, true}, 2);
    for (int round = 0; round < 3; ++round) {
      blocks.prefetch(2);
      blocks.prefetch(1);
      blocks.prefetch(0);  // no room: nothing happens
      blocks.visit(0, -1);
      blocks.visit(1, 2);
      blocks.visit(2, 2);
      blocks.prefetch(1);
      blocks.step(2);  // starts with a block gathered out of order
      blocks.prefetch(0);
      blocks.prefetch(2);
    }
  };
  CHECK_NOTHROW(LocalWorld::run(2, body));
  CHECK_NOTHROW(LocalWorld::run(4, body));
}

TEST_CASE("a prefetch before the optimizer's step does not show the weights from before") {
  // Part of step(): the last blocks of backward leave gathers behind, which publish or invalidate drop. Here without
  // resharding, where gathered weights stay until the step.
  CHECK_NOTHROW(LocalWorld::run(2, [](Communicator world) {
    Blocks<float> blocks(world, degrees(1, 2), {false, false}, 2);
    blocks.prefetch(0);
    blocks.step(1);
    blocks.prefetch(0);
    blocks.prefetch(1);
    blocks.step(1);
    blocks.visit(0, 1);
  }));
}
