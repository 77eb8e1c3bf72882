// Key-value cache: what generation keeps of earlier tokens. Used by nn/attention.hpp.
#pragma once

#include <vector>

#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// Keys and values of up to `capacity` positions of each sequence, a pair of tensors [batch capacity, kv_dim] for each
/// layer.
template <class E>
struct KeyValueCache {
  using T = typename E::Compute;
  using D = typename E::Device;

  struct Layer {
    Tensor<T, D> key, value;
  };

  KeyValueCache(Memory<D>& memory, int num_layers, index_t batch_size, index_t max_len, index_t kv_dim)
      : batch(batch_size), capacity(max_len) {
    for (int i = 0; i < num_layers; ++i)
      layers.push_back(
          {Tensor<T, D>(memory, {batch * capacity, kv_dim}), Tensor<T, D>(memory, {batch * capacity, kv_dim})});
  }

  index_t batch, capacity;
  index_t length = 0;  // positions filled; the model advances it after a pass
  std::vector<Layer> layers;
};

}  // namespace ashlar::inline v0
