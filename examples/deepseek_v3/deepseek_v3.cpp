// DeepSeek-V3 and V2: `deepseek_v3 train --model.flavor debugmodel ...`, and `deepseek_v3 --help` for the rest.
#include <ashlar/ashlar.hpp>
#include <ashlar/models/deepseek_v3/deepseek_v3.hpp>
using namespace ashlar;

struct MyDeepSeekV3 : Recipe<Family<DeepSeekV3>,  // brings its kinds: Attn<...> and Ffn<...> would name others
                             Parallel<ddp * fsdp * tp * pp * ep>,  // strategies compiled in; their degrees are flags
                             ActivationCheckpoint<None, Selective, Full>,  // a flag picks
                             Precision<F32, Bf16>,                         // a flag picks; master weights are f32
                             On<BuildDevice>> {};

int main(int argc, char** argv) {
  return ashlar::main<Transformer<MyDeepSeekV3>>(argc, argv);
}
