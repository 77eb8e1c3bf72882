// Attention kinds: what a recipe or a family writes in Attn<...>. A kind is a struct with a template Module<E>, the
// module that runs it (docs/adding/an_attention.md); one of the user's own is as good as these. Read next:
// nn/attention/grouped_query.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/recipe.hpp"
#include "ashlar/ops/attention/mask.hpp"
#include "ashlar/ops/rope/rope.hpp"

namespace ashlar::inline v0 {

// ---- rotary positions ----

/// Columns (2i, 2i + 1) of a head turn together, as in the original LLaMA code.
struct Interleaved {};
/// Columns (i, i + width / 2) turn together, as in Hugging Face's checkpoints.
struct Halves {};
/// Rotary position embedding of queries and keys (Su et al. 2021, arXiv:2104.09864).
template <class Pairs = Interleaved>
struct Rope {
  static_assert(std::is_same_v<Pairs, Interleaved> || std::is_same_v<Pairs, Halves>,
                "Rope<...> takes Interleaved or Halves.");
};
/// Positions are known through the mask alone.
struct NoRope {};
/// So they are, and queries grow with their position, that attention over many keys stays sharp (Llama 4): they are
/// multiplied by the family's RopeAngles::query_scales.
struct ScaledQueries {};

namespace detail {
template <class Positions>
inline constexpr bool turns = false;
template <class P>
inline constexpr bool turns<Rope<P>> = true;
template <class Positions>
inline constexpr ops::Pairs pairs_of = ops::Pairs::interleaved;
template <>
inline constexpr ops::Pairs pairs_of<Rope<Halves>> = ops::Pairs::halves;
}  // namespace detail

// ---- norms of queries and keys ----

/// Queries and keys are multiplied as they are projected.
struct NoNorm {};
/// Each head of a query and of a key goes through an RMSNorm before the rotation (Qwen3, arXiv:2505.09388).
struct HeadNorm {};
/// The same without a weight, where the family's numbers say so (Llama 4).
struct LengthNorm {};

// ---- kinds ----

template <class E, Mask M, class Positions, class Norm>
class GroupedQueryAttention;  // nn/attention/grouped_query.hpp
template <class E, Mask M>
class LatentAttention;  // nn/attention/latent.hpp

namespace detail {
/// The requirements of a mask, a sentence each.
template <class M>
constexpr bool check_mask() {
  static_assert(Mask<M>,
                "Flash<M> and Flex<M> need a mask: a struct with State, needs_documents, visible, keys and all_visible "
                "(see ashlar/ops/attention/mask.hpp).");
  return Mask<M>;
}
template <class M, bool = Mask<M>>
inline constexpr bool needs_documents = false;
template <class M>
inline constexpr bool needs_documents<M, true> = M::needs_documents;
}  // namespace detail

/// Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) under a mask, with the positions and norms named.
template <class M = Causal, class Positions = Rope<>, class Norm = NoNorm>
struct Grouped {
  static_assert(detail::check_mask<M>());
  template <class E>
  using Module = GroupedQueryAttention<E, M, Positions, Norm>;
};
/// Causal attention.
struct Sdpa {
  template <class E>
  using Module = GroupedQueryAttention<E, Causal, Rope<>, NoNorm>;
};
/// Attention under a mask that needs no state: Causal, or one of the user's own.
template <class M = Causal>
struct Flash {
  static_assert(detail::check_mask<M>());
  static_assert(
      !detail::needs_documents<M>,
      "Flash<M> takes masks without state; a mask that needs documents goes into Flex, as in Flex<BlockCausal>.");
  template <class E>
  using Module = GroupedQueryAttention<E, M, Rope<>, NoNorm>;
};
/// Attention under any mask; its state is made anew for every micro-batch.
template <class M>
struct Flex {
  static_assert(detail::check_mask<M>());
  template <class E>
  using Module = GroupedQueryAttention<E, M, Rope<>, NoNorm>;
};
/// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434).
template <class M = Causal>
struct Latent {
  static_assert(detail::check_mask<M>());
  template <class E>
  using Module = LatentAttention<E, M>;
};

}  // namespace ashlar::inline v0
