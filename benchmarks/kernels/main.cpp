// Every operation on Cuda, timed on random values after its result was checked, as a share of the copy bandwidth or of
// cuBLASLt's rate that this run has measured. Usage: kernels FILE.jsonl [GROUP...]: rows are added to the file, one
// JSON object a line. Read next: kernels/board.hpp.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "kernels/groups.hpp"

using namespace ashlar;

namespace {

struct Group {
  const char* name;
  std::function<void(benchmark::Board&)> measure;
};

/// Runs the group in a child process, for at most `seconds`. Only children talk to the device. False where it ended
/// before its time.
bool run_apart(const Group& group, benchmark::Ceilings& ceilings, std::FILE* file, unsigned seconds) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(seconds);
    int status = 0;
    try {
      benchmark::Board board(ceilings, file);
      group.measure(board);
    } catch (const std::exception& e) {
      std::printf("group %s: %s\n", group.name, e.what());
      status = 1;
    }
    std::fflush(nullptr);
    _exit(status);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: kernels FILE.jsonl [GROUP...]\n");
    return 2;
  }
  void* const shared =
      mmap(nullptr, sizeof(benchmark::Ceilings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  std::FILE* const file = std::fopen(argv[1], "a");
  if (shared == MAP_FAILED || !file) {
    std::perror(argv[1]);
    return 1;
  }
  auto& ceilings = *new (shared) benchmark::Ceilings;
  const Group groups[] = {
      {"ceilings", [&](benchmark::Board& board) { benchmark::measure_ceilings(board, ceilings); }},
      {"norms", benchmark::measure_norms},
      {"swiglu", benchmark::measure_swiglu},
      {"attention", benchmark::measure_attention},
      {"vocabulary", benchmark::measure_vocabulary},
      {"optimizer", benchmark::measure_optimizer},
      {"elementwise", benchmark::measure_elementwise},
      {"routing", benchmark::measure_routing},
      {"permutation", benchmark::measure_permutation},
      {"grouped_gemm", benchmark::measure_grouped_gemm},
  };
  int failures = 0;
  for (const Group& group : groups) {
    bool chosen = argc == 2 || std::strcmp(group.name, "ceilings") == 0;
    for (int i = 2; i < argc; ++i) chosen |= std::strcmp(argv[i], group.name) == 0;
    if (!chosen || run_apart(group, ceilings, file, 60)) continue;
    ++failures;
    std::printf("group %s did not come to its end\n", group.name);
    std::fprintf(file, "{\"row\":\"group %s\",\"side\":\"ashlar\",\"failed\":\"ended before its time\"}\n", group.name);
  }
  return failures > 0;
}
