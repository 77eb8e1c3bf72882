// Key-value cache: what generation keeps of earlier tokens. Read next: nn/attention/core.hpp.
#pragma once

#include <vector>

#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// Keys and values of up to `capacity` positions of each sequence: for each layer a pair of tensors
/// [batch capacity, width], of widths that the layer's attention says.
template <class E>
struct KeyValueCache {
  using T = typename E::Compute;
  using D = typename E::Device;

  struct Layer {
    Tensor<T, D> key, value;
  };

  KeyValueCache(index_t batch_size, index_t max_len) : batch(batch_size), capacity(max_len) {}
  /// Room for the next layer.
  void add_layer(Memory<D>& memory, index_t key_width, index_t value_width) {
    layers.push_back(
        {Tensor<T, D>(memory, {batch * capacity, key_width}), Tensor<T, D>(memory, {batch * capacity, value_width})});
  }

  index_t batch, capacity;
  index_t length = 0;  // positions filled; the model advances it after a pass
  std::vector<Layer> layers;
};

}  // namespace ashlar::inline v0
