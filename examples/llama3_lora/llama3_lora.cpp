// Llama 3 with LoRA: `llama3_lora train --model.flavor debugmodel --checkpoint.base_path BASE ...` trains adapters of
// low rank beside the frozen weights of the checkpoint BASE, and `llama3_lora convert` merges them into weights that
// llama3 loads.
#include <ashlar/ashlar.hpp>
using namespace ashlar;

struct MyLlama3 : Recipe<Family<Llama3>, Attn<Sdpa>, Ffn<SwiGlu>,
                         Weights<LowRank>,  // --lora.rank, --lora.alpha and --lora.targets say which
                         Parallel<ddp * fsdp * tp * pp>, ActivationCheckpoint<None, Selective, Full>,
                         Precision<F32, Bf16>,  // frozen weights are held in it
                         On<BuildDevice>> {};

int main(int argc, char** argv) {
  return ashlar::main<Transformer<MyLlama3>>(argc, argv);
}
