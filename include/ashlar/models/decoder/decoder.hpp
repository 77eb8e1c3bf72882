// Decoder: the model of a language-model family, from its table of layers and the kinds that a recipe names. Read next:
// models/decoder/block.hpp, models/llama3/llama3.hpp (a family).
#pragma once

#include <tuple>
#include <utility>

#include "ashlar/models/decoder/block.hpp"
#include "ashlar/models/decoder/ends.hpp"
#include "ashlar/models/decoder/sizes.hpp"
#include "ashlar/models/model.hpp"
#include "ashlar/models/stack.hpp"
#include "ashlar/moe/moe.hpp"
#include "ashlar/nn/attention/grouped_query.hpp"

namespace ashlar::inline v0 {

/// What a family may leave unsaid: the numbers that all decoders have, one attention kind, dense blocks before mixtures
/// of experts. A family has besides a `name`, and flavors().
template <class SizesT = DecoderSizes>
struct DecoderFamily {
  using Sizes = SizesT;
  /// Of recipes that name none.
  using Attention = Attn<Sdpa>;
  using FeedForward = Ffn<SwiGlu>;
  static LayerKind layer(const Sizes& sizes, int l) { return {0, sizes.is_moe(l) ? 1 : 0}; }
};

/// The angles that a stage's attention modules read.
template <class E>
struct DecoderShared {
  template <class Sizes>
  DecoderShared(const StageSetup<E>& setup, const Sizes& sizes)
      : rope(setup.memory, setup.queue, setup.max_seq_len, sizes.rope_angles(sizes.rope_width(), setup.max_seq_len)) {}
  RopeTable<E> rope;
};

namespace detail {

/// The feed-forward kinds with a dense one first, whether or not it was named.
template <class... Kinds>
struct WithDense {
  using type = Ffn<SwiGlu, Kinds...>;
};
template <class... Kinds>
struct WithDense<SwiGlu, Kinds...> {
  using type = Ffn<SwiGlu, Kinds...>;
};
template <class... Kinds>
inline constexpr bool any_experts = (false || ... || is_instance<Kinds, MoE>);

template <class Kind, class E>
concept AttentionKind = HasModule<Kind, E> && requires {
  typename Kind::template Module<E>::Sizes;
};
/// `name`: how checkpoints call the feed-forward.
template <class Kind, class E>
concept FeedForwardKind = HasModule<Kind, E> && requires {
  { Kind::name } -> std::convertible_to<std::string_view>;
};

template <class E, class Kind>
constexpr bool check_attention_kind() {
  static_assert(
      AttentionKind<Kind, E>,
      "Attn<...> takes Sdpa, Flash<Mask>, Flex<Mask>, Grouped<...>, Latent<Mask>, or a kind of your own with a "
      "Module<E> template; a mask of your own goes inside, as in Attn<Flex<MyMask>>.");
  return AttentionKind<Kind, E>;
}
template <class E, class Kind>
constexpr bool check_feed_forward_kind() {
  static_assert(
      FeedForwardKind<Kind, E>,
      "Ffn<...> takes SwiGlu, MoE<Router, Experts>, or a kind of your own with a Module<E> template and a name.");
  return FeedForwardKind<Kind, E>;
}
template <class Sizes, class Module>
constexpr bool has_sizes_for() {
  static_assert(std::convertible_to<const Sizes&, typename Module::Sizes>,
                "Attn<...> names an attention that this family has no numbers for: its Sizes must convert to the "
                "module's Sizes (see ashlar/models/decoder/sizes.hpp).");
  return true;
}

/// A feed-forward module of a layer: experts are made of their MoeSizes, anything else of hidden_dim.
template <class E, class Module, class Sizes>
Module make_feed_forward(Declarations<E> d, const Sizes& sizes, double depth_std) {
  if constexpr (std::constructible_from<Module, Declarations<E>, index_t, const MoeSizes&, double>)
    return Module(d, sizes.dim, sizes.moe, depth_std);
  else
    return Module(d, sizes.dim, sizes.hidden_dim, depth_std);
}

template <class... T>
struct Types {};
template <class... A, class... B>
Types<A..., B...> operator+(Types<A...>, Types<B...>);

template <class E, class Stream, class List>
struct StackOf;
template <class E, class Stream, class... Kinds>
struct StackOf<E, Stream, Types<Kinds...>> {
  using type = Stack<E, Stream, Kinds...>;
};

}  // namespace detail

/// F: a family. AttentionKinds: Attn<...>; FeedForwardKinds: Ffn<...>, dense first.
template <class E, class F, class AttentionKinds, class FeedForwardKinds>
struct Decoder;

template <class E, class F, class... A, class... G>
struct Decoder<E, F, Attn<A...>, Ffn<G...>> {
  static_assert((detail::check_attention_kind<E, A>() && ...));
  static_assert((detail::check_feed_forward_kind<E, G>() && ...));
  static constexpr bool has_experts = detail::any_experts<G...>;
  static_assert(!E::has(ep) || has_experts,
                "Parallel<... * ep> spreads experts, but the recipe has none; write Ffn<MoE<...>> or leave ep out.");

  using Environment = E;
  using Family = F;
  using Sizes = typename F::Sizes;
  static_assert((detail::has_sizes_for<Sizes, typename A::template Module<E>>() && ...));
  template <template <class> class Array>
  using Batch = TokenBatch<Array>;
  using Stream = Residual<E>;
  using Front = DecoderFront<E>;
  using Back = DecoderBack<E>;
  using Objective = LossFunction<E>;
  using Shared = DecoderShared<E>;

  /// Every attention with every feed-forward: kind number a * sizeof...(G) + g.
  template <class Attention>
  using WithEach = detail::Types<TransformerBlock<E, Attention, typename G::template Module<E>>...>;
  using Blocks =
      typename detail::StackOf<E, Stream,
                               decltype((detail::Types<>{} + ... + WithEach<typename A::template Module<E>>{}))>::type;

  static std::string_view name() { return F::name; }
  static auto flavors() { return F::flavors(); }
  static int num_layers(const Sizes& sizes) { return sizes.num_layers; }
  static void check(const Sizes& sizes, const pipeline::StageLayers& range) {
    if (sizes.tied && range.embedding != range.output)
      throw ConfigError(
          "a model with tied embeddings can't be cut by --parallelism.pipeline_parallel_degree: its table would "
          "be on two stages; use 1");
  }

  /// Layer l, of the kind that the family's table says. Throws ConfigError where the recipe lacks it.
  static void add_layer(Blocks& blocks, Declarations<E>& d, const Sizes& sizes, const Shared& shared, int l,
                        const Mesh& mesh, const UnitOptions& options) {
    const LayerKind kind = F::layer(sizes, l);
    if (kind.feed_forward < 0 || kind.feed_forward >= static_cast<int>(sizeof...(G)))
      throw ConfigError(
          has_experts
              ? concat("layer ", l, " of this flavor has feed-forward ", kind.feed_forward,
                       " of its family's table, but the recipe names ", sizeof...(G), "; name more in Ffn<...>")
              : concat("layer ", l,
                       " of this flavor is a mixture of experts, but the recipe has Ffn<SwiGlu>; write Ffn<MoE<...>>"));
    if (kind.attention < 0 || kind.attention >= static_cast<int>(sizeof...(A)))
      throw ConfigError(concat("layer ", l, " of this flavor has attention ", kind.attention,
                               " of its family's table (from 0), but the recipe names ", sizeof...(A),
                               "; name more in Attn<...>, or leave it out for the family's own"));
    add_kind<0>(static_cast<std::size_t>(kind.attention) * sizeof...(G) + static_cast<std::size_t>(kind.feed_forward),
                blocks, d, sizes, shared, l, mesh, options);
  }

  template <template <class> class Array>
  static Batch<Array> empty_batch(const Sizes&, index_t rows, index_t seq_len) {
    return {rows, seq_len, {}, {}, {}};
  }
  static void describe(Context<E>& c, const ViewBatch<Decoder>& batch) {
    c.streams[0] = {batch.rows, batch.seq_len, batch.tokens, batch.document_start};
  }
  template <class Allocate>
  static Stream make_stream(const Context<E>& c, const Sizes& sizes, int tp_degree, Allocate&& allocate) {
    return {allocate(Shape{c.sequences().rows() / tp_degree, sizes.dim})};
  }
  static Objective default_objective() { return CrossEntropy{}; }

  static FlopCount flops(const Sizes& sizes, double multiplied, index_t seq_len) {
    return count_flops(sizes.num_layers, sizes.attention_width(), multiplied, seq_len);
  }
  /// The embedding's rows are looked up; of routed experts, top_k of num_experts multiply.
  static double multiplied(const ParameterInfo& info, const Sizes& sizes) {
    if (info.expert) return static_cast<double>(sizes.moe.top_k) / static_cast<double>(sizes.moe.num_experts);
    return info.name == "tok_embeddings.weight" && !sizes.tied ? 0 : 1;
  }

 private:
  template <std::size_t K>
  static void add_kind(std::size_t kind, Blocks& blocks, Declarations<E>& d, const Sizes& sizes, const Shared& shared,
                       int l, const Mesh& mesh, const UnitOptions& options) {
    if constexpr (K + 1 < sizeof...(A) * sizeof...(G))
      if (kind != K) return add_kind<K + 1>(kind, blocks, d, sizes, shared, l, mesh, options);
    using Block = typename Blocks::template Kind<K>;
    using Attention = typename Block::Attention;
    using FeedForward = typename Block::FeedForward;
    constexpr std::string_view names[] = {G::name...};
    const std::string name = "layers." + std::to_string(l);
    const double std = Sizes::depth_std(l);
    const auto cached_as = static_cast<int>(blocks.size());
    blocks.template add<K>(
        d, name, mesh, options, d.in(name), sizes.dim, sizes.norm_eps,
        [&](Declarations<E> in) {
          return Attention(in, static_cast<typename Attention::Sizes>(sizes), cached_as, shared.rope, std);
        },
        names[K % sizeof...(G)],
        [&](Declarations<E> in) { return detail::make_feed_forward<E, FeedForward>(in, sizes, std); });
  }
};

}  // namespace ashlar::inline v0
