// Qwen3, dense and with experts: `qwen3 train --model.flavor debugmodel ...`, and `qwen3 --help` for the rest.
#include <ashlar/ashlar.hpp>
#include <ashlar/models/qwen3/qwen3.hpp>
using namespace ashlar;

struct MyQwen3 : Recipe<Family<Qwen3>,  // brings its kinds: Attn<...> and Ffn<...> would name others
                        Parallel<ddp * fsdp * tp * pp * ep>,          // strategies compiled in; their degrees are flags
                        ActivationCheckpoint<None, Selective, Full>,  // a flag picks
                        Precision<F32, Bf16>,                         // a flag picks; master weights are f32
                        On<BuildDevice>> {};

int main(int argc, char** argv) {
  return ashlar::main<Transformer<MyQwen3>>(argc, argv);
}
