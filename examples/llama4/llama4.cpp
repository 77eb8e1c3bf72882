// Llama 4, text: `llama4 train --model.flavor debugmodel ...`, and `llama4 --help` for the rest.
#include <ashlar/ashlar.hpp>
#include <ashlar/models/llama4/llama4.hpp>
using namespace ashlar;

struct MyLlama4 : Recipe<Family<Llama4>,  // brings its kinds: Attn<...> and Ffn<...> would name others
                         Parallel<ddp * fsdp * tp * pp * ep>,  // strategies compiled in; their degrees are flags
                         ActivationCheckpoint<None, Selective, Full>,  // a flag picks
                         Precision<F32, Bf16>,                         // a flag picks; master weights are f32
                         On<BuildDevice>> {};

int main(int argc, char** argv) {
  return ashlar::main<Transformer<MyLlama4>>(argc, argv);
}
