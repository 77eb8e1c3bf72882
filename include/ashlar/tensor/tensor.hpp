// Tensor: owns its elements, for what lives as long as the model. Activations live in arenas (tensor/arena.hpp).
#pragma once

#include <utility>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/tensor/memory.hpp"

namespace ashlar::inline v0 {

/// A contiguous tensor in the memory of D; move-only. Elements are not initialised. The Memory must outlive it.
template <class T, Device D>
class Tensor {
 public:
  Tensor() = default;
  Tensor(Memory<D>& memory, const Shape& shape) : memory_(&memory), shape_(shape) {
    data_ = static_cast<T*>(memory.allocate(bytes()));
    memory.add_persistent(bytes());
  }
  Tensor(Tensor&& other) noexcept { swap(other); }
  Tensor& operator=(Tensor&& other) noexcept {
    Tensor(std::move(other)).swap(*this);
    return *this;
  }
  ~Tensor() {
    if (!memory_) return;
    memory_->deallocate(data_, bytes());
    memory_->remove_persistent(bytes());
  }
  void swap(Tensor& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
  }

  T* data() const { return data_; }
  const Shape& shape() const { return shape_; }
  index_t count() const { return memory_ ? shape_.count() : 0; }
  std::size_t bytes() const {
    return memory_ ? static_cast<std::size_t>(shape_.count()) * memory_->template width<T>() : 0;
  }
  explicit operator bool() const { return memory_ != nullptr; }
  TensorView<T, D> view() const { return memory_ ? TensorView<T, D>(data_, shape_) : TensorView<T, D>(); }
  void zero(typename D::Queue& queue) { D::fill_zero(queue, data_, bytes()); }

 private:
  Memory<D>* memory_ = nullptr;
  T* data_ = nullptr;
  Shape shape_;
};

}  // namespace ashlar::inline v0
