// The communicator's laws on two GPUs over NCCL (argument: laws), and what happens when a rank does not come
// (deadlines). Exit status 0 and a closing line if all hold.
#include <string>

#include "comm/laws.hpp"
#include "device/gpu_ranks.hpp"

using namespace ashlar;
using namespace std::chrono_literals;
using test::GpuRanks;

namespace {

constexpr index_t large =
    index_t{1} << 27;  // half a GiB of floats: NCCL holds some MiB a channel of a message that waits

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const CommError& e) {
    return e.what();
  }
  return "";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void ranks_have_their_own(Communicator host) {
  laws::expect(Cuda::selected() == host.rank(), "rank ", host.rank(), " has GPU ", Cuda::selected());
  Communicator world = world_on<Cuda>(host);
  laws::expect(dynamic_cast<detail::NcclBackend*>(world.device_backend().get()) != nullptr, "GPUs talk over NCCL");
  Cuda::select(0);
  Communicator shared = world_on<Cuda>(host);
  laws::expect(dynamic_cast<StagedBackend<Cuda>*>(shared.device_backend().get()) != nullptr,
               "ranks that share a GPU talk through the host");
  Cuda::select(host.rank());
}

/// Rank 1 leaves an operation out: rank 0 has its error in time, with the rank, the operation and the step in it, and a
/// host that waits for the GPU is let go.
void a_missing_rank_is_an_error(Communicator host) {
  Communicator world = world_on<Cuda>(host);
  Cuda::Queue queue;
  const laws::Values<float, Cuda> x(queue, std::vector<float>(1000, 1.0f));
  world.all_reduce(queue, x.view()).wait(queue);  // now the two are connected
  laws::expect(x.read()[0] == 2, "the operation before");
  world.set_step(12);
  world.set_timeout(700ms);
  host.barrier();
  if (host.rank() == 0) {
    const auto begin = Clock::now();
    world.all_reduce(queue, x.view()).wait(queue);  // waits on the device
    laws::expect(seconds_since(begin) < 0.5, "the host does not wait in wait()");
    Cuda::synchronize(queue);
    const std::string error = error_of([&] { world.reduce_value(1.0f); });
    laws::expect(contains(error, "rank 0, step 12, group world, all_reduce (sum) of 1000 F32: timed out after 700 ms"),
                 "the error says who, when and what: ", error);
    laws::expect(seconds_since(begin) < 10, "a deadline is kept, not ", seconds_since(begin), " s");
    laws::expect(contains(error_of([&] { world.all_reduce(queue, x.view()); }), "the rank has failed before"),
                 "and so are all that come after");
  }
  host.set_timeout(60s);
  host.barrier();
}

/// The same for a message that nobody receives.
void a_message_that_nobody_takes_is_an_error(Communicator host) {
  Communicator world = world_on<Cuda>(host);
  Cuda::Queue queue;
  const Channel channel{3};
  world.connect<Cuda>(0, 1, channel);
  const laws::Values<float, Cuda> x(queue, large);
  world.set_timeout(700ms);
  host.barrier();
  if (host.rank() == 0) {
    Request sent = world.send(queue, x.view(), 1, channel);
    sent.wait(queue);
    Cuda::synchronize(queue);
    const std::string error = error_of([&] { world.barrier(); });
    laws::expect(contains(error, "send of 134217728 F32 to rank 1 on channel 3: timed out"), "a message: ", error);
  }
  host.set_timeout(60s);
  host.barrier();
}

/// An exception that leaves a request pending takes its buffer away, at once.
void an_abandoned_request_lets_go(Communicator host) {
  Communicator world = world_on<Cuda>(host);
  Cuda::Queue queue;
  const laws::Values<float, Cuda> ready(queue, std::vector<float>(10, 1.0f));
  world.all_reduce(queue, ready.view()).wait(queue);
  Cuda::synchronize(queue);
  host.barrier();
  if (host.rank() == 0) {
    const auto begin = Clock::now();
    try {
      const laws::Values<float, Cuda> x(queue, std::vector<float>(1000, 1.0f));
      Request pending = world.all_reduce(queue, x.view());
      throw 1;
    } catch (int) {}
    laws::expect(seconds_since(begin) < 15, "an abandoned request waits for nobody");
    laws::expect(contains(error_of([&] { world.barrier(); }), "it was abandoned"), "and is known");
  }
  world.set_timeout(1s);  // how long the peer says goodbye
  host.set_timeout(60s);
  host.barrier();
}

}  // namespace

int main(int argc, char** argv) {
  std::optional<GpuRanks> ranks;
  try {
    ranks.emplace();
    const std::string what = argc > 1 ? argv[1] : "laws";
    const auto begin = Clock::now();
    if (what == "laws") {
      ranks->run(ranks_have_their_own);
      laws::communicator_laws<Cuda>(
          [&](int, const laws::Body& body) { ranks->run([&](Communicator host) { body(world_on<Cuda>(host)); }); },
          GpuRanks::count, {.rank_order = false, .nan_survives_max = false, .large_message = large});
    } else {
      ranks->run(a_missing_rank_is_an_error);
      ranks->run(a_message_that_nobody_takes_is_an_error);
      ranks->run(an_abandoned_request_lets_go);
    }
    if (ranks->speaks())
      std::printf("passed: %s on %d GPUs, ranks as %s, %.1f s\n", what.c_str(), GpuRanks::count,
                  ranks->processes() ? "processes" : "threads", seconds_since(begin));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "failed: %s\n", e.what());
    if (ranks) ranks->abort();
    return 1;
  }
  return 0;
}
