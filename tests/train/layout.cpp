#include "ashlar/train/layout.hpp"

#include <limits>

#include "ashlar/comm/fake.hpp"
#include "ashlar/models/transformer.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

constexpr int huge = std::numeric_limits<int>::max();

Config sizes(int local_rows, int global_rows, int seq_len) {
  Config c;
  c.training.local_batch_size = local_rows;
  c.training.global_batch_size = global_rows;
  c.training.seq_len = seq_len;
  return c;
}

}  // namespace

TEST_CASE("a step's sizes on one rank") {
  const BatchLayout b = batch_layout(sizes(2, 8, 16), Mesh());
  CHECK(b.global_rows == 8);
  CHECK(b.local_rows == 8);
  CHECK(b.rows == 2);
  CHECK(b.micro_batches == 4);
}

TEST_CASE("a step of more tokens than bytes can count is refused") {
  CHECK_THROWS_WITH(batch_layout(sizes(huge, -1, huge), Mesh()),
                    ContainsText("a step of 2147483647 sequences of 2147483647 tokens is above") &&
                        ContainsText("--training.seq_len, --training.local_batch_size"));
  CHECK_THROWS_AS(batch_layout(sizes(1 << 10, -1, (1 << 30) + 1), Mesh()), ConfigError);
  CHECK(batch_layout(sizes(1 << 10, -1, 1 << 30), Mesh()).global_rows == 1 << 10);
  CHECK(batch_layout(sizes(1, -1, huge), Mesh()).seq_len == huge);
}

TEST_CASE("a step of more micro-batches than a schedule can list is refused") {
  CHECK_THROWS_WITH(batch_layout(sizes(8, 2147483640, 16), Mesh()),
                    ContainsText("268435455 micro-batches on 1 pipeline ranks") &&
                        ContainsText("--training.global_batch_size, or raise --training.local_batch_size"));
  CHECK(batch_layout(sizes(1, 1 << 18, 16), Mesh()).micro_batches == 1 << 18);
  CHECK_THROWS_AS(batch_layout(sizes(1, (1 << 18) + 1, 16), Mesh()), ConfigError);
  const Mesh pipeline({.pp = 4}, Fake::world(0, 4, std::make_shared<FakeCounts>()));
  CHECK(batch_layout(sizes(1, 1 << 16, 16), pipeline).micro_batches == 1 << 16);
  CHECK_THROWS_WITH(batch_layout(sizes(1 << 17, -1, 16), pipeline),
                    ContainsText("raise --parallelism.pipeline_parallel_microbatch_size"));
}

TEST_CASE("ranks that fsdp would take replicate without it, and no product of degrees wraps") {
  struct Replicated : Recipe<Parallel<ddp * tp * pp>> {};
  using M = ModelOf<Replicated, Cpu, float>;
  CHECK(compiled_degrees<M>({.tp = 2}, 8).dp_replicate == 4);
  CHECK_THROWS_AS(compiled_degrees<M>({.pp = 65536, .tp = 65537}, 65536), ConfigError);  // wraps to 65536
}
