// How fast a text is encoded: `tokenize TOKENIZER FILE RUNS` prints megabytes a second of each run, on all threads.
// Read next: benchmarks/tokenize/tokenize.sh, beside the package tokenizers.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "ashlar/data/tokenizers/open.hpp"

int main(int argc, char** argv) {
  using namespace ashlar;
  using Clock = std::chrono::steady_clock;
  if (argc != 4) return std::fprintf(stderr, "usage: tokenize TOKENIZER FILE RUNS\n"), 1;
  try {
    const auto tokenizer = open_tokenizer(argv[1]);
    std::ifstream in(argv[2], std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    for (int run = 0; run < std::atoi(argv[3]); ++run) {
      const auto begin = Clock::now();
      const std::size_t tokens = tokenizer->encode(text).size();
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      std::printf("%.3f %zu\n", static_cast<double>(text.size()) / 1e6 / seconds, tokens);
    }
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
