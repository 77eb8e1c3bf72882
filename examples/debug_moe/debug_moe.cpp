// The debug mixture of experts: a dense block, then 8 experts, 2 a token, and a shared one; attention within documents.
#include <ashlar/ashlar.hpp>
using namespace ashlar;

struct MyMoe : Recipe<
    Family<DebugMoe>,
    Attn<Flex<BlockCausal>>,
    Ffn<MoE<TopK<Sigmoid>, GroupedGemm<>>>,
    Parallel<fsdp * ep>,
    ActivationCheckpoint<None, Selective, Full>,
    Precision<F32, Bf16>,
    On<BuildDevice>> {};

int main(int argc, char** argv) { return ashlar::main<Transformer<MyMoe>>(argc, argv); }
