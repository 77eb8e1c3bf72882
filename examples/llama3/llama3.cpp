// Llama 3: `llama3 train --model.flavor debugmodel ...`, and `llama3 --help` for the rest.
#include <ashlar/ashlar.hpp>
using namespace ashlar;

struct MyLlama3 : Recipe<
    Family<Llama3>,
    Attn<Sdpa>,                                  // Sdpa, Flash<Mask>, Flex<Mask>
    Ffn<SwiGlu>,                                 // SwiGlu, MoE<Router, Experts>
    Parallel<ddp * fsdp * tp * pp>,              // strategies compiled in; their degrees are flags
    ActivationCheckpoint<None, Selective, Full>, // a flag picks
    Precision<F32, Bf16>,                        // a flag picks; master weights are f32
    On<BuildDevice>> {};

int main(int argc, char** argv) { return ashlar::main<Transformer<MyLlama3>>(argc, argv); }
