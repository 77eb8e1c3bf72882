// A tiny family of joint models, and how its tests train it.
#pragma once

#include <memory>

#include "ashlar/models/joint/joint.hpp"
#include "ashlar/models/joint/random_latents.hpp"
#include "ashlar/models/transformer.hpp"
#include "ashlar/train/trainer.hpp"

namespace ashlar::test {

struct TinyJoint {
  static constexpr std::string_view name = "tiny_joint";
  template <class E, class R>
  using Model = Joint<E, TinyJoint>;

  static std::span<const Flavor<JointSizes>> flavors() {
    static constexpr Flavor<JointSizes> all[] = {{"debugmodel",
                                                  {.dim = 16,
                                                   .num_heads = 4,
                                                   .double_blocks = 2,
                                                   .single_blocks = 2,
                                                   .hidden_dim = 24,
                                                   .channels = 4,
                                                   .text_channels = 6,
                                                   .text_len = 4,
                                                   .time_features = 8}},
                                                 {"odd_text",
                                                  {.dim = 16,
                                                   .num_heads = 4,
                                                   .double_blocks = 1,
                                                   .single_blocks = 0,
                                                   .hidden_dim = 24,
                                                   .channels = 4,
                                                   .text_channels = 6,
                                                   .text_len = 3,
                                                   .time_features = 8}}};
    return all;
  }
  static const JointSizes& sizes() { return flavors()[0].sizes; }
};

template <class D>
struct Images : Recipe<Family<TinyJoint>, Parallel<ddp * fsdp * tp * pp>, ActivationCheckpoint<None, Selective, Full>,
                       Precision<F64, F32>, On<D>> {};

inline Config joint_config() {
  Config c;
  c.training.seq_len = 6;
  c.training.global_batch_size = 8;
  c.training.local_batch_size = 8;
  c.training.steps = 100;
  c.lr_scheduler.warmup_steps = 2;
  c.optimizer.lr = 1e-2;
  return c;
}

inline std::shared_ptr<const Source<LatentBatch<HostArray>>> latents(const Config& c) {
  return std::make_shared<RandomLatents>(3, TinyJoint::sizes(), static_cast<index_t>(c.training.seq_len));
}

}  // namespace ashlar::test
