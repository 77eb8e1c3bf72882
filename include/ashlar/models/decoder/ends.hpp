// The ends of a decoder: the embedding that begins its residual stream, and the norm, projection and loss that end it.
// Read next: nn/embedding.hpp, nn/output_loss.hpp.
#pragma once

#include "ashlar/models/stream.hpp"
#include "ashlar/nn/embedding.hpp"
#include "ashlar/nn/output_loss.hpp"

namespace ashlar::inline v0 {

template <class E>
class DecoderFront {
 public:
  struct Saved {};

  template <class Sizes>
  DecoderFront(Declarations<E> d, const Sizes& sizes)
      : embedding_(d, "tok_embeddings", sizes.vocab_size, sizes.dim,
                   sizes.tied ? output_initializer(sizes.dim) : Initializer::normal(1)) {}

  Parameter<E>& table() { return embedding_.weight(); }

  template <class Batch>
  Residual<E> forward(Context<E>& c, const Batch&, Saved&) const {
    Residual<E> out{embedding_.forward(c)};
    c.observe("tok_embeddings", out.x, {.rows_over = Axis::tp});
    return out;
  }
  template <class Batch>
  void backward(Context<E>& c, const Batch&, const Residual<E>& d, const Saved&) {
    embedding_.backward(c, d.x);
  }

 private:
  Embedding<E> embedding_;
};

template <class E>
class DecoderBack {
 public:
  using Saved = typename OutputLoss<E>::Saved;

  /// `front`: the other end, where it is on the same stage; a tied model's table is there.
  template <class Sizes>
  DecoderBack(Declarations<E> d, const Sizes& sizes, DecoderFront<E>* front)
      : output_(d, sizes.vocab_size, sizes.dim, sizes.norm_eps, sizes.tied ? &front->table() : nullptr) {}

  template <class Batch>
  void forward(Context<E>& c, const Residual<E>& in, const Batch& batch, const LossFunction<E>& loss,
               TensorView<double, typename E::Device> total, Saved& saved) {
    output_.forward(c, in.x, {batch.targets, batch.weights}, loss, total, saved);
  }
  void recompute(Context<E>& c, Saved& saved) const { output_.recompute(c, saved); }
  Residual<E> backward(Context<E>& c, const Saved& saved) { return {output_.backward(c, saved)}; }

  const OutputLoss<E>& output() const { return output_; }

 private:
  OutputLoss<E> output_;
};

}  // namespace ashlar::inline v0
