// Prints what the tiny models' training comes to, to the last bit: losses, gradient norms, every tensor of a checkpoint
// after five steps, and plans, on every layout and in every compute type. Two commits that print the same compute the
// same. Run by tests/same_bits.sh; on the emulator (ASHLAR_CUDA_EMULATED) on the layouts of one and two ranks.
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

#include "ashlar/comm/local.hpp"
#include "ashlar/program/plan.hpp"
#include "ashlar/train/trainer_state.hpp"
#include "train/layouts.hpp"

#if ASHLAR_CUDA_EMULATED
#include "ashlar/device/cuda/runtime.hpp"
#include "ashlar/ops/all_cuda.cuh"
#endif

using namespace equivalence;

namespace {

#if ASHLAR_CUDA_EMULATED
using Where = Cuda;
constexpr int most_ranks = 2, steps = 2;
#else
using Where = Cpu;
constexpr int most_ranks = 8, steps = 5;
#endif

// FNV-1a over bytes.
std::uint64_t hash(const void* data, std::size_t n, std::uint64_t h = 14695981039346656037u) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < n; ++i) h = (h ^ bytes[i]) * 1099511628211u;
  return h;
}

using Tensors = std::map<std::string, std::vector<std::byte>>;

// Puts a rank's part into the whole tensors, as a checkpoint names them.
void collect(const StateRange& range, Tensors& all) {
  const std::size_t width = size_of(range.dtype);
  std::vector<std::byte> host(static_cast<std::size_t>(range.count) * width);
  range.download(host.data(), range.count);
  range.layout->for_each_box(range.begin, range.begin + range.count, [&](const Box& box) {
    const auto& info = range.layout->entries()[box.parameter].info;
    auto& whole = all[range.prefix + info.name];
    whole.resize(static_cast<std::size_t>(info.shape.count()) * width);
    for_each_run(info.shape, box, [&](index_t logical, index_t local, index_t n) {
      std::memcpy(whole.data() + static_cast<std::size_t>(logical) * width,
                  host.data() + static_cast<std::size_t>(box.begin - range.begin + local) * width,
                  static_cast<std::size_t>(n) * width);
    });
  });
}

template <class M>
void record(const char* model, const Layout& layout) {
  const std::string name = concat(model, ", ", to_string(dtype_of<typename M::Environment::Compute>), ", ",
                                  describe(layout.config, layout.ranks));
  Tensors tensors;
  std::mutex mutex;
  std::vector<double> numbers;
  try {
    LocalWorld::run(layout.ranks, [&](Communicator world) {
      Trainer<M> trainer(layout.config, world);
      auto loader = trainer.loader(std::make_shared<Documents>());
      for (int i = 0; i < steps; ++i) {
        trainer.step(loader.next());
        const StepResult r = trainer.result();
        if (world.rank() == 0) numbers.insert(numbers.end(), {r.loss, r.grad_norm});
      }
      const std::scoped_lock lock(mutex);
      for (const StateRange& range : trained_state(trainer)) collect(range, tensors);
      for (const StateRange& range : buffer_state(trainer)) collect(range, tensors);
      for (const StateRange& range : optimizer_state(trainer)) collect(range, tensors);
    });
  } catch (const ConfigError&) {
    std::printf("%s: not legal\n", name.c_str());
    return;
  }
  std::printf("%s:", name.c_str());
  for (const double x : numbers) std::printf(" %a", x);
  std::printf("\n");
  for (const auto& [tensor, bytes] : tensors)
    std::printf("  %s %zu %016llx\n", tensor.c_str(), bytes.size(),
                static_cast<unsigned long long>(hash(bytes.data(), bytes.size())));
}

template <template <class> class R>
void record_all(const char* model, const std::vector<Layout>& layouts) {
  for (const Layout& layout : layouts) {
    if (layout.ranks > most_ranks) continue;
    R<Where>::ComputeTypes::for_each([&]<class T>(std::type_identity<T>) {
      // The emulator's kernels are those of float and bf16.
      if constexpr (std::is_same_v<Where, Cpu> || !std::is_same_v<T, double>)
        record<ModelOf<R<Where>, Where, T>>(model, layout);
    });
    if constexpr (std::is_same_v<Where, Cpu>) {
      Config planned = layout.config;
      planned.plan.world_size = layout.ranks;
      std::string text;
      try {
        text = to_json(plan_recipe<R<Where>, float>(planned));
      } catch (const ConfigError&) {
        text = "not legal";
      }
      std::printf("%s, plan, %s: %s\n", model, describe(layout.config, layout.ranks).c_str(), text.c_str());
    }
  }
}

}  // namespace

int main() {
  record_all<Dense>("dense", dense_layouts());
  record_all<Experts>("experts", expert_layouts());
}
