// Ranks that fail over MPI: mpirun -n 4 mpi_failures CASE, where rank 1 fails as CASE says. The job must end by itself
// with a status other than zero; mpi_failures.sh runs all cases and reads what the other ranks say.
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <thread>

#include "ashlar/comm/mpi.hpp"

using namespace ashlar;
using namespace std::chrono_literals;

namespace {

struct Case {
  std::chrono::milliseconds timeout;  // short where it is what must end the others
  std::function<void(MpiSession&, Communicator)> rank_one;
  std::function<void(Communicator)> others;
};

Cpu::Queue here;
TensorView<float, Cpu> view(float* x, index_t count) {
  return {x, {count}};
}

void hang(MpiSession&, Communicator) {
  std::this_thread::sleep_for(10min);
}

void reduce(Communicator c) {
  std::vector<float> x(1000);
  c.all_reduce(here, view(x.data(), 1000)).wait();
}

const std::map<std::string, Case>& cases() {
  static const std::map<std::string, Case> all{
      {"throw", {10min, [](MpiSession&, Communicator) { throw std::logic_error("the disk is full"); }, reduce}},
      {"throw_with_request_pending",
       {10min,
        [](MpiSession&, Communicator c) {
          std::vector<float> x(1000);
          Request pending = c.all_reduce(here, view(x.data(), 1000));
          throw std::logic_error("the disk is full");
        },
        [](Communicator c) {
          c.barrier();
          reduce(c);
        }}},
      {"abort", {10min, [](MpiSession& session, Communicator) { session.abort(3); }, reduce}},
      {"exit", {10min, [](MpiSession&, Communicator) { std::_Exit(5); }, reduce}},
      {"kill", {10min, [](MpiSession&, Communicator) { std::raise(SIGKILL); }, reduce}},
      {"hang", {300ms, hang, reduce}},
      {"hang_before_message",
       {300ms, hang,
        [](Communicator c) {
          float x = 0;
          c.receive(here, view(&x, 1), 1, {4}).wait();
        }}},
      {"hang_before_group",
       {300ms, hang,
        [](Communicator c) {
          const std::vector<int> all_ranks{0, 1, 2, 3};
          c.group(all_ranks, "tp");
        }}},
      {"failed_before",
       {300ms, hang,
        [](Communicator c) {
          try {
            c.barrier();
          } catch (const CommError&) {}
          reduce(c);
        }}},
      {"short_message",
       {10min,
        [](MpiSession&, Communicator c) {
          float x[4] = {};
          for (int r : {0, 2, 3}) c.send(here, view(x, 2), r, {3}).wait();
          std::this_thread::sleep_for(10min);
        },
        [](Communicator c) {
          float x[4] = {};
          c.receive(here, view(x, 4), 1, {3}).wait();
        }}},
      {"short_part",
       {10min,
        [](MpiSession&, Communicator c) {
          float x[8] = {}, y[8];
          const std::vector<index_t> sent{1, 2, 1, 1}, received{2, 2, 2, 2};
          c.all_to_all(here, view(x, 8), view(y, 8), RowCounts<Cpu>(sent, received)).wait();
          std::this_thread::sleep_for(10min);
        },
        [](Communicator c) {
          float x[8] = {}, y[8];
          const std::vector<index_t> counts{2, 2, 2, 2};
          c.all_to_all(here, view(x, 8), view(y, 8), RowCounts<Cpu>(counts, counts)).wait();
        }}}};
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  int rank = 0;
  try {
    const Case& test = cases().at(argc > 1 ? argv[1] : "");
    MpiSession session;
    Communicator world = session.world();
    rank = world.rank();
    world.barrier();
    world.set_step(12);
    world.set_timeout(test.timeout);
    if (rank == 1)
      test.rank_one(session, world);
    else
      test.others(world);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
  return 0;
}
