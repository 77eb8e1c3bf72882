// Norms of heads: what queries and keys go through between projection and rotation.
#pragma once

#include "ashlar/nn/attention/sizes.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/ops/rms_norm/rms_norm.hpp"
#include "ashlar/tensor/parameter.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// Nothing: the projection writes where attention reads.
template <class E>
class NoHeadNorm {
 public:
  struct Saved {};
  NoHeadNorm(Declarations<E>, std::string_view, const GroupedQuerySizes&) {}
  typename E::View input(Context<E>&, typename E::View y, Saved&) const { return y; }
  void forward(Context<E>&, typename E::View, Saved&) const {}
  void backward(Context<E>&, typename E::View, const Saved&) {}
};

/// RMSNorm of each head by itself, with one weight [head_dim] for all heads. Under tp each rank has some of the heads,
/// so the weight's gradient is a partial sum.
template <class E>
class HeadRmsNorm {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using View = typename E::View;

  struct Saved {
    View h;                               // [N heads, head_dim], kept: the projection
    typename E::template ViewOf<A> rstd;  // [N heads], kept
  };

  HeadRmsNorm(Declarations<E> d, std::string_view name, const GroupedQuerySizes& s) : HeadRmsNorm(s) {
    d.add(weight_, {concat(name, ".weight"), {head_dim_}, Initializer::constant(1), {}, false});
  }

  /// Where the projection is to be written that forward makes y [N, heads * head_dim] of.
  View input(Context<E>& c, View y, Saved& saved) const {
    View h = c.kept(y.shape());
    saved.h = by_head(h);
    saved.rstd = c.template kept<A>({saved.h.rows()});
    return h;
  }
  void forward(Context<E>& c, View y, Saved& saved) const {
    ops::rms_norm<T, D>(c.queue, saved.h, {}, weight_.value, eps_, {}, by_head(y), saved.rstd);
  }
  /// dy [N, heads * head_dim], the gradient of y, becomes that of the projection.
  void backward(Context<E>& c, View dy, const Saved& saved) {
    ArenaScope scope(c.scratch_arena());
    auto workspace = c.template scratch<A>({ops::rms_norm_backward_workspace<D>(saved.h.rows(), head_dim_)});
    ops::rms_norm_backward<T, D>(c.queue, by_head(dy), saved.h, weight_.value, saved.rstd, by_head(dy), false,
                                 weight_.gradient, workspace);
  }

 protected:
  explicit HeadRmsNorm(const GroupedQuerySizes& s) : eps_(s.norm_eps), head_dim_(s.head_dim) {}

  Parameter<E> weight_;
  double eps_;
  index_t head_dim_;

 private:
  View by_head(View x) const { return x.reshaped({x.count() / head_dim_, head_dim_}); }
};

/// The same without a weight, where the sizes say so; else nothing. It commutes with the rotation, which keeps lengths.
template <class E>
class HeadLengthNorm : public HeadRmsNorm<E> {
 public:
  using Base = HeadRmsNorm<E>;
  using typename Base::A;
  using typename Base::D;
  using typename Base::Saved;
  using typename Base::T;
  using typename Base::View;

  HeadLengthNorm(Declarations<E> d, std::string_view, const GroupedQuerySizes& s) : Base(s), acts_(s.length_norm) {
    if (!acts_) return;
    ones_ = Tensor<T, D>(d.memory(), {s.head_dim});
    unread_ = Tensor<A, D>(d.memory(), {s.head_dim});
    if constexpr (D::has_storage) {
      const std::vector<T> host(static_cast<std::size_t>(s.head_dim), T(1));
      D::upload(d.queue(), ones_.data(), host.data(), ones_.bytes());
      D::synchronize(d.queue());
    }
    unread_.zero(d.queue());
    this->weight_.value = ones_.view();
    this->weight_.gradient = unread_.view();
  }

  View input(Context<E>& c, View y, Saved& saved) const { return acts_ ? Base::input(c, y, saved) : y; }
  void forward(Context<E>& c, View y, Saved& saved) const {
    if (acts_) Base::forward(c, y, saved);
  }
  void backward(Context<E>& c, View dy, const Saved& saved) {
    if (acts_) Base::backward(c, dy, saved);
  }

 private:
  bool acts_;
  Tensor<T, D> ones_;
  Tensor<A, D> unread_;  // where the gradient of the ones goes
};

}  // namespace ashlar::inline v0
