// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1): keys and values come from one narrow row a
// token, positions turn some columns of a head alone, and values are as wide as they like. Heads are cut over tp. Read
// next: nn/attention/core.hpp.
#pragma once

#include <cmath>
#include <optional>

#include "ashlar/nn/attention/core.hpp"
#include "ashlar/nn/attention/kinds.hpp"
#include "ashlar/nn/attention/rope_table.hpp"
#include "ashlar/nn/attention/sizes.hpp"
#include "ashlar/nn/column_parallel.hpp"
#include "ashlar/nn/rms_norm.hpp"
#include "ashlar/nn/row_parallel.hpp"
#include "ashlar/ops/heads/heads.hpp"
#include "ashlar/ops/rope/rope.hpp"

namespace ashlar::inline v0 {

/// With [R] = key_value_rank, [P] = rope_dim, [n] = nope_dim, [v] = value_dim, H heads of a rank:
///   (c, k_rope) = wkv_a x, [R + P];  (k_nope, value) = wkv_b norm(c), H [n + v];  key head = (k_nope, turned k_rope)
///   query = wq x, or wq_b norm(wq_a x); of each head the last P columns turn.
template <class E, Mask M>
class LatentAttention {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Core = AttentionCore<E, M>;
  using Sizes = LatentSizes;

  struct Saved {
    ConstView x;                // [N / tp, dim], the caller's
    typename Core::Saved core;  // of this rank's heads
    typename ColumnParallel<E, 2>::Saved in;
    typename RmsNorm<E>::Saved latent_norm, query_norm;
  };

  /// `rope` is the stage's table, of width rope_dim. `layer` numbers the layers that have a cache. `depth_std`
  /// initialises wo.
  LatentAttention(Declarations<E> d, const Sizes& s, int layer, const RopeTable<E>& rope, double depth_std)
      : sizes_(checked(s, d.degree(Axis::tp))),
        heads_(s.num_heads / d.degree(Axis::tp)),
        rope_(&rope),
        core_(
            {heads_, heads_, s.head_dim(), s.value_dim,
             rope.score_scale() * (s.scale > 0 ? s.scale : 1 / std::sqrt(static_cast<double>(s.head_dim()))), s.local},
            layer),
        in_(d, s.dim,
            {{{"wkv_a", s.key_value_rank + s.rope_dim, initializer(), LinearKind::replicated},
              s.query_rank > 0 ? ColumnWeight{"wq_a", s.query_rank, initializer(), LinearKind::replicated}
                               : ColumnWeight{"wq", s.num_heads * s.head_dim()}}}),
        kv_norm_(d, "kv_norm", s.key_value_rank, s.norm_eps),
        wkv_b_(d, "wkv_b", s.num_heads * (s.nope_dim + s.value_dim), s.key_value_rank, LinearKind::column_parallel,
               initializer()),
        out_(d, "wo", s.dim, s.num_heads * s.value_dim, depth_std) {
    if (s.query_rank == 0) return;
    q_norm_.emplace(d, "q_norm", s.query_rank, s.norm_eps);
    wq_b_.emplace(d, "wq_b", s.num_heads * s.head_dim(), s.query_rank, LinearKind::column_parallel, initializer());
  }

  const Core& core() const { return core_; }

  /// y [N / tp, dim] of x [N / tp, dim], in scratch.
  View forward(Context<E>& c, ConstView x, Saved& saved) const {
    View y = c.scratch(x.shape());
    const auto& rows = c.sequences();
    saved.x = x;
    core_.allocate(c, rows, rows, saved.core);
    {
      ArenaScope scope(c.scratch_arena());
      const View latent = c.scratch({rows.rows(), latent_width()}),
                 query = q_norm_ ? c.kept({rows.rows(), sizes_.query_rank}) : saved.core.query;
      in_.forward(c, x, {latent, query}, saved.in);
      if (q_norm_) wq_b_->forward(c, prepared(c, q_norm_->forward(c, query, saved.query_norm)), saved.core.query);
      turn(c, saved.core.query, of_keys(0), ops::Direction::forward);
      expand(c, latent, saved);
    }
    core_.forward(c, rows, rows, saved.core);
    out_.forward(c, saved.core.out, y);
    return y;
  }
  /// Makes the input of all ranks and the norms' outputs again; saved.x must be valid.
  void recompute(Context<E>& c, Saved& saved) const {
    in_.recompute(c, saved.x, saved.in);
    kv_norm_.recompute(c, saved.latent_norm);
    if (q_norm_) q_norm_->recompute(c, saved.query_norm);
  }

  /// dx [N / tp, dim] of dy [N / tp, dim], in scratch; accumulates the weight gradients. What heads share has, under
  /// tp, the gradient of this rank's heads alone: all that follows is linear in it, and the sum over ranks comes last.
  View backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx = c.scratch(dy.shape());
    ArenaScope scope(c.scratch_arena());
    const index_t rows = c.sequences().rows();
    View dq = c.operand(saved.core.query.shape()), dlatent = c.operand({rows, latent_width()}), dquery = dq;
    if (q_norm_) dquery = c.operand({rows, sizes_.query_rank});
    {
      ArenaScope inner(c.scratch_arena());
      View dk = c.scratch(saved.core.key.shape()), dv = c.scratch(saved.core.value.shape());
      View dout = c.scratch(saved.core.out.shape());
      out_.backward(c, dy, saved.core.out, dout);
      core_.backward(c, c.sequences(), c.sequences(), dout, saved.core, dq, dk, dv);
      c.observe("query", dq, {.columns_over = Axis::tp});
      c.observe("key", dk, {.columns_over = Axis::tp});
      c.observe("value", dv, {.columns_over = Axis::tp});
      expand_backward(c, dk, dv, saved, dlatent);
      turn(c, dq, of_keys(0), ops::Direction::backward);
      if (q_norm_) {
        View dnormed = c.scratch(dquery.shape());
        multiply_backward(c, *wq_b_, dq, saved.query_norm.y, dnormed);
        D::fill_zero(c.queue, dquery.data(), static_cast<std::size_t>(dquery.count()) * sizeof(T));
        q_norm_->backward(c, dnormed, saved.query_norm, dquery);
      }
    }
    in_.backward(c, {dlatent, dquery}, saved.in, dx);
    return dx;
  }

 private:
  static Initializer initializer() { return Initializer::truncated_normal(0.02, 2); }
  static const Sizes& checked(const Sizes& s, int ranks) {
    if (s.num_heads % ranks != 0)
      throw ConfigError(
          concat("--parallelism.tensor_parallel_degree ", ranks, " must divide the ", s.num_heads, " heads"));
    return s;
  }

  // ---- columns ----

  index_t latent_width() const { return sizes_.key_value_rank + sizes_.rope_dim; }
  ops::HeadColumns of_keys(index_t begin) const { return {heads_, sizes_.head_dim(), begin}; }
  ops::HeadColumns of_values() const { return {heads_, sizes_.value_dim, 0}; }
  ops::HeadColumns of_both(index_t begin) const { return {heads_, sizes_.nope_dim + sizes_.value_dim, begin}; }
  ops::HeadColumns of_latent(index_t begin) const { return {1, latent_width(), begin}; }
  ops::HeadColumns of_compressed() const { return {1, sizes_.key_value_rank, 0}; }

  // Turns the last rope_dim columns of each head of x.
  void turn(Context<E>& c, View x, const ops::HeadColumns& heads, ops::Direction direction) const {
    const index_t begin = c.cache ? c.cache->length : 0;
    ops::rope<T, D>(
        c.queue, x,
        {heads.heads, heads.head_dim, heads.head_dim - sizes_.rope_dim, sizes_.rope_dim, ops::Pairs::interleaved},
        {c.sequences().len, begin, {}}, rope_->view(), direction);
  }

  // ---- products of rows that this rank has whole ----

  static auto prepared(Context<E>& c, ConstView x) { return E::Weights::template prepare<E>(c, x); }
  // dx = dy W, and the weight gradient.
  static void multiply_backward(Context<E>& c, Projection<E>& weight, ConstView dy, ConstView x, View dx) {
    const auto gradient = weight.gradient(c, dy);
    weight.input_gradient(c, gradient, dx, false);
    weight.weight_gradient(c, gradient, prepared(c, x));
  }

  // ---- keys and values ----

  // Of the latent rows [N, key_value_rank + rope_dim].
  void expand(Context<E>& c, View latent, Saved& saved) const {
    const index_t n = latent.rows(), nope = sizes_.nope_dim, rank = sizes_.key_value_rank;
    View compressed = c.kept({n, rank});
    turn(c, latent, of_latent(0), ops::Direction::forward);
    ops::move_heads<T, D>(c.queue, latent, of_latent(0), compressed, of_compressed(), rank);
    ops::move_heads<T, D>(c.queue, latent, of_latent(rank), saved.core.key, of_keys(nope), sizes_.rope_dim);
    const ConstView normed = kv_norm_.forward(c, compressed, saved.latent_norm);
    View both = c.scratch({n, heads_ * (nope + sizes_.value_dim)});
    wkv_b_.forward(c, prepared(c, normed), both);
    ops::move_heads<T, D>(c.queue, both, of_both(0), saved.core.key, of_keys(0), nope);
    ops::move_heads<T, D>(c.queue, both, of_both(nope), saved.core.value, of_values(), sizes_.value_dim);
  }
  // Writes dlatent.
  void expand_backward(Context<E>& c, View dk, View dv, const Saved& saved, View dlatent) {
    const index_t n = dlatent.rows(), nope = sizes_.nope_dim, rank = sizes_.key_value_rank;
    View dboth = c.operand({n, heads_ * (nope + sizes_.value_dim)});
    ops::move_heads<T, D>(c.queue, dk, of_keys(0), dboth, of_both(0), nope);
    ops::move_heads<T, D>(c.queue, dv, of_values(), dboth, of_both(nope), sizes_.value_dim);
    View dnormed = c.scratch({n, rank}), dcompressed = c.scratch({n, rank});
    multiply_backward(c, wkv_b_, dboth, saved.latent_norm.y, dnormed);
    D::fill_zero(c.queue, dcompressed.data(), static_cast<std::size_t>(dcompressed.count()) * sizeof(T));
    kv_norm_.backward(c, dnormed, saved.latent_norm, dcompressed);
    ops::move_heads<T, D>(c.queue, dcompressed, of_compressed(), dlatent, of_latent(0), rank);
    ops::move_heads<T, D>(c.queue, dk, of_keys(nope), dlatent, of_latent(rank), sizes_.rope_dim);
    turn(c, dlatent, of_latent(0), ops::Direction::backward);
  }

  Sizes sizes_;
  index_t heads_;  // of this rank
  const RopeTable<E>* rope_;
  Core core_;
  ColumnParallel<E, 2> in_;
  RmsNorm<E> kv_norm_;
  Projection<E> wkv_b_;
  RowParallel<E> out_;
  std::optional<RmsNorm<E>> q_norm_;
  std::optional<Projection<E>> wq_b_;
};

}  // namespace ashlar::inline v0
