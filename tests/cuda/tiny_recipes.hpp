// The models whose training tests/cuda runs on Cuda: dense, and a mixture of experts, of the sizes of tiny_family.hpp.
#pragma once

#include "ashlar/device/cuda/runtime.hpp"
#include "ashlar/moe/moe.hpp"
#include "ashlar/nn/low_rank.hpp"
#include "ashlar/train/trainer.hpp"
#include "tiny_family.hpp"

// A build for GPUs takes the kernels from the library of cmake/instances, as recipes do.
#if ASHLAR_CUDA_EMULATED
#include "ashlar/ops/all_cuda.cuh"
#endif

namespace ashlar::test {

template <class D>
struct Dense
    : Recipe<Family<Tiny>, Attn<Flex<BlockCausal>>, Parallel<fsdp>, ActivationCheckpoint<None, Selective>, On<D>> {};
template <class D>
struct Experts : Recipe<Family<Tiny>, Ffn<MoE<TopK<Sigmoid>>>, Parallel<fsdp * ep>, On<D>> {};
template <class D>
struct Adapted : Recipe<Family<Tiny>, Weights<LowRank>, Parallel<fsdp * tp>, On<D>> {};

/// Two micro-batches of one row of 12 tokens a step.
inline Config tiny_config(const char* flavor) {
  Config c;
  c.model.flavor = flavor;
  c.training.seq_len = 12;
  c.training.local_batch_size = 1;
  c.training.global_batch_size = 2;
  c.training.steps = 4;
  c.lr_scheduler.warmup_steps = 1;
  return c;
}

}  // namespace ashlar::test
