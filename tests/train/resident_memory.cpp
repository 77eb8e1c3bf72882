// The process grows by what the plan says: parameters, states and activations are where the memory goes.
#include <cstdio>
#include <fstream>

#include "ashlar/data/random_tokens.hpp"
#include "ashlar/models/llama3/llama3.hpp"
#include "ashlar/program/plan.hpp"
#include "ashlar/report/peak_memory.hpp"
#include "catch.hpp"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

using namespace ashlar;

namespace {

struct Llama : Recipe<Family<Llama3>, ActivationCheckpoint<None, Selective, Full>, Precision<F32, Bf16>> {};

std::int64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  for (std::int64_t kibibytes = 0; status >> word;)
    if (word == "VmRSS:" && status >> kibibytes) return kibibytes * 1024;
  return 0;
}

/// Forgets what the process has held before: freed memory goes back, and the high-water mark begins here.
bool begin_measuring() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5" << std::flush;
  return resident_bytes() > 0 && peak_resident_bytes() < resident_bytes() + (std::int64_t{1} << 20);
}

template <class T>
void grow(const Config& config, const char* what) {
  using Cpu32 = ModelOf<Llama, Cpu, T>;
  const Plan plan = make_plan<ModelOf<Llama, Meta, T>>(config);
  const auto planned = static_cast<double>(plan.ranks[0].persistent_bytes + plan.ranks[0].arena_bytes);
  if (!begin_measuring()) {
    WARN("this system does not tell a process its high-water mark: nothing is measured");
    return;
  }
  const std::int64_t before = resident_bytes();
  {
    Trainer<Cpu32> trainer(config);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 257));
    for (int i = 0; i < 2; ++i) trainer.step(loader.next());
  }
  const auto grown = static_cast<double>(peak_resident_bytes() - before);
  std::printf("%s: planned %.1f MiB, the process grew by %.1f MiB (%+.1f %%)\n", what, planned / 1048576,
              grown / 1048576, 100 * (grown / planned - 1));
  CHECK(grown > 0.9 * planned);
  CHECK(grown < 1.1 * planned);
}

}  // namespace

TEST_CASE("the process grows by what was planned") {
  Config c;
  c.training.local_batch_size = 8;
  c.training.seq_len = 256;
  c.training.steps = 2;
  // The libraries' own memory (threads, generated code) is not the model's.
  Config first = c;
  first.training.seq_len = 16;
  {
    Trainer<ModelOf<Llama, Cpu, F32>> trainer(first);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 257));
    trainer.step(loader.next());
  }
  for (const char* mode : {"none", "selective", "full"}) {
    c.activation_checkpoint.mode = mode;
    grow<F32>(c, mode);
  }
}
