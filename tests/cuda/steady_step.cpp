// A steady training step on one rank asks nothing of the device that a host would wait for: on the emulator by count,
// on a GPU by taking steps while the device is kept from running them.
#include "catch.hpp"
#include "tiny_recipes.hpp"

#if !ASHLAR_CUDA_EMULATED
#include <atomic>
#include <chrono>
#include <thread>
#endif

using namespace ashlar;
using test::Dense;
using test::Experts;
using test::tiny_config;

namespace {

#if ASHLAR_CUDA_EMULATED
/// Notes what the host waits for while it lives.
class HeldDevice {
 public:
  explicit HeldDevice(Cuda::Queue&) : before_(simt::host_waits()) {}
  void check_not_waited_for() const {
    const simt::HostWaits& now = simt::host_waits();
    CHECK(now.allocations == before_.allocations);
    CHECK(now.frees == before_.frees);
    CHECK(now.synchronizations == before_.synchronizations);
    CHECK(now.uploads == before_.uploads);
    CHECK(now.downloads == before_.downloads);
  }

 private:
  simt::HostWaits before_;
};
#else
/// Nothing that is put on the queue while it lives runs, until it has lived too long: a host that waits finds it then.
class HeldDevice {
 public:
  explicit HeldDevice(Cuda::Queue& queue) : queue_(queue) {
    const auto hold = [](void* self) { static_cast<HeldDevice*>(self)->hold(); };
    REQUIRE(cudaLaunchHostFunc(static_cast<cudaStream_t>(queue.stream()), hold, this) == cudaSuccess);
  }
  ~HeldDevice() {
    released_ = true;
    cudaStreamSynchronize(static_cast<cudaStream_t>(queue_.stream()));
  }
  HeldDevice(const HeldDevice&) = delete;
  HeldDevice& operator=(const HeldDevice&) = delete;
  void check_not_waited_for() const { CHECK_FALSE(gave_up_.load()); }

 private:
  void hold() {
    using namespace std::chrono;
    const auto end = steady_clock::now() + seconds(10);
    while (!released_ && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(1));
    gave_up_ = !released_;
  }
  Cuda::Queue& queue_;
  std::atomic<bool> released_ = false, gave_up_ = false;
};
#endif

template <class M>
void steps_wait_for_nothing(const Config& config) {
  Trainer<M> trainer(config);
  auto loader = trainer.loader(std::make_shared<RandomTokens>(3, 32));
  trainer.step(loader.next());  // the first one allocates, and loads kernels
  trainer.result();
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    const HostBatch batch = loader.next();
    {
      const HeldDevice held(trainer.queue());
      trainer.step(batch);
      held.check_not_waited_for();
    }
    CHECK(std::isfinite(trainer.result().loss));
  }
}

}  // namespace

TEST_CASE("a steady step of the dense model waits for nothing") {
  steps_wait_for_nothing<ModelOf<Dense<Cuda>, Cuda, float>>(tiny_config("debugmodel"));
  Config selective = tiny_config("debugmodel");
  selective.activation_checkpoint.mode = "selective";
  steps_wait_for_nothing<ModelOf<Dense<Cuda>, Cuda, float>>(selective);
}

TEST_CASE("a steady step of the mixture of experts waits for nothing") {
  steps_wait_for_nothing<ModelOf<Experts<Cuda>, Cuda, float>>(tiny_config("moe"));
#if !ASHLAR_CUDA_EMULATED  // there, products are the host's, and not every host's oneDNN has them in bf16
  steps_wait_for_nothing<ModelOf<Experts<Cuda>, Cuda, bf16>>(tiny_config("moe"));
#endif
}

#if ASHLAR_CUDA_EMULATED
TEST_CASE("the counts that steady steps are held to do count") {
  Cuda::Queue queue;
  const simt::HostWaits before = simt::host_waits();
  void* const p = Cuda::allocate(4);
  std::int32_t value = 1;
  Cuda::upload(queue, p, &value, sizeof value);
  Cuda::download(queue, &value, p, sizeof value);
  Cuda::synchronize(queue);
  Cuda::deallocate(p, 4);
  CHECK(simt::host_waits().count() == before.count() + 5);
}
#endif
