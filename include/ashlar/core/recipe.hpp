// Recipes: the choices that a user composes at compile time, as an order-free list of policies, each with a default.
// Here is the machinery; what can be chosen lives beside what it chooses (attention kinds in nn/attention/kinds.hpp,
// routers in moe/routers/, families in models/). Read next: core/environment.hpp, models/transformer.hpp.
#pragma once

#include <concepts>
#include <type_traits>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/environment.hpp"
#include "ashlar/core/strategy.hpp"

namespace ashlar::inline v0 {

namespace detail {
template <class>
inline constexpr bool always_false = false;
template <class, template <class...> class>
inline constexpr bool is_instance = false;
template <class... A, template <class...> class T>
inline constexpr bool is_instance<T<A...>, T> = true;
template <class T, class... List>
inline constexpr int occurrences = (0 + ... + (std::is_same_v<T, List> ? 1 : 0));

template <class D>
concept says_storage = requires {
  { D::has_storage } -> std::convertible_to<bool>;
};
template <class D>
inline constexpr bool has_storage = true;
template <says_storage D>
inline constexpr bool has_storage<D> = D::has_storage;

enum class Category { attention, feed_forward, weights, parallel, checkpointing, precision, device, family, optimizer };
}  // namespace detail

// ---- activation checkpointing (nn/context.hpp) ----

struct None {};       // keep every activation
struct Full {};       // keep a block's input, compute the rest again
struct Selective {};  // keep what matrix products and attention made, compute norms and activations again

// ---- compute types ----

using F32 = float;
using F64 = double;
using Bf16 = bf16;

// ---- the policies of a recipe ----

/// The attention kinds of a model (nn/attention/kinds.hpp); the family's table says which layer has which.
template <class... Kinds>
struct Attn {
  static constexpr auto category = detail::Category::attention;
  static_assert(sizeof...(Kinds) > 0, "Attn<> needs at least one attention kind, as in Attn<Sdpa>.");
};
/// The feed-forward kinds of a model: SwiGlu (nn/swiglu.hpp), MoE<...> (moe/moe.hpp). A dense one always comes along.
template <class... Kinds>
struct Ffn {
  static constexpr auto category = detail::Category::feed_forward;
  static_assert(sizeof...(Kinds) > 0, "Ffn<> needs at least one feed-forward kind, as in Ffn<SwiGlu>.");
};
/// What the matrices of attention and feed-forward are: LowRank (nn/low_rank.hpp), or plain where nothing is said.
template <class W>
struct Weights {
  static constexpr auto category = detail::Category::weights;
  using type = W;
};
/// The strategies compiled in: `Parallel<fsdp * tp>`. Their degrees are run-time configuration.
template <Strategies S>
struct Parallel {
  static constexpr auto category = detail::Category::parallel;
  static constexpr Strategies value = S;
};
/// The modes compiled in; --activation_checkpoint.mode picks one, the first is the default.
template <class... Modes>
struct ActivationCheckpoint {
  static constexpr auto category = detail::Category::checkpointing;
  static_assert(sizeof...(Modes) > 0, "ActivationCheckpoint<> needs at least one of None, Selective, Full.");
  static_assert(((std::is_same_v<Modes, None> || std::is_same_v<Modes, Selective> || std::is_same_v<Modes, Full>)&&...),
                "ActivationCheckpoint<...> takes None, Selective and Full only.");
  static_assert(((detail::occurrences<Modes, Modes...> == 1) && ...),
                "ActivationCheckpoint<...> names a mode twice; name each once.");
  template <class Mode>
  static constexpr bool has = detail::occurrences<Mode, Modes...> > 0;
  template <class F>
  static void for_each(F&& f) {
    (f(Modes{}), ...);
  }
};
/// The compute types compiled in; --training.mixed_precision_param picks one. Master weights, gradients and optimizer
/// states are float (double for F64).
template <class... Types>
struct Precision {
  static constexpr auto category = detail::Category::precision;
  static_assert(sizeof...(Types) > 0, "Precision<> needs at least one of F32, Bf16, F64.");
  static_assert(((std::is_same_v<Types, F32> || std::is_same_v<Types, Bf16> || std::is_same_v<Types, F64>)&&...),
                "Precision<...> takes F32, Bf16 and F64 only.");
  static_assert(((detail::occurrences<Types, Types...> == 1) && ...),
                "Precision<...> names a type twice; name each once.");
  template <class F>
  static void for_each(F&& f) {
    (f(std::type_identity<Types>{}), ...);
  }
};
/// Where the model runs: On<Cpu> or On<Cuda> (device/build_device.hpp). Meta needs no naming: `plan` runs on it.
template <class D>
struct On {
  static constexpr auto category = detail::Category::device;
  static_assert(detail::says_storage<D>, "On<...> takes Cpu or Cuda.");
  static_assert(detail::has_storage<D>,
                "On<Meta>: Meta has no storage to train with and always comes along; write On<Cpu> or On<Cuda>.");
  using type = D;
};
/// The model family: sizes by flavor, names, and the table of layers (models/llama3/llama3.hpp is one).
template <class F>
struct Family {
  static constexpr auto category = detail::Category::family;
  using type = F;
};

template <class P>
concept Policy = requires {
  { P::category } -> std::convertible_to<detail::Category>;
};

namespace detail {

/// What a recipe says nothing of: the family, or models/transformer.hpp, has a default.
struct Unsaid {
  using type = Unsaid;
};

template <Category C, class Default, class... P>
struct Pick {
  using type = Default;
};
template <Category C, class Default, class First, class... Rest>
struct Pick<C, Default, First, Rest...> {
  using type =
      typename std::conditional_t<First::category == C, std::type_identity<First>, Pick<C, Default, Rest...>>::type;
};
template <Category C, class... P>
inline constexpr int count_of = (0 + ... + (P::category == C ? 1 : 0));

}  // namespace detail

/// A set of policies, any subset in any order. A named recipe (`struct Mine : Recipe<...> {};`) keeps symbols short.
template <class... P>
struct Recipe {
  static_assert(
      (Policy<P> && ...),
      "Recipe<...> takes policies only: Attn<>, Ffn<>, Weights<>, Parallel<>, ActivationCheckpoint<>, Precision<>, "
      "On<>, Family<>, Optimize<>; wrap a bare kind, as in Attn<Sdpa>.");
  template <detail::Category C, class Default>
  using pick = typename detail::Pick<C, Default, P...>::type;
  template <detail::Category C>
  static constexpr bool at_most_once = detail::count_of<C, P...> <= 1;

  static_assert(at_most_once<detail::Category::attention>, "Recipe<...> has two Attn<> policies; keep one.");
  static_assert(at_most_once<detail::Category::feed_forward>, "Recipe<...> has two Ffn<> policies; keep one.");
  static_assert(at_most_once<detail::Category::weights>, "Recipe<...> has two Weights<> policies; keep one.");
  static_assert(at_most_once<detail::Category::parallel>,
                "Recipe<...> has two Parallel<> policies; compose strategies in one, as in Parallel<fsdp * tp>.");
  static_assert(at_most_once<detail::Category::checkpointing>,
                "Recipe<...> has two ActivationCheckpoint<> policies; list the modes in one.");
  static_assert(at_most_once<detail::Category::precision>,
                "Recipe<...> has two Precision<> policies; list the types in one.");
  static_assert(at_most_once<detail::Category::device>, "Recipe<...> has two On<> policies; keep one.");
  static_assert(at_most_once<detail::Category::optimizer>,
                "Recipe<...> has two Optimize<> policies; list the rules in one.");
  static_assert(at_most_once<detail::Category::family>, "Recipe<...> has two Family<> policies; keep one.");

  /// Attn<...> and Ffn<...>, or Unsaid.
  using Attention = pick<detail::Category::attention, detail::Unsaid>;
  using FeedForward = pick<detail::Category::feed_forward, detail::Unsaid>;
  using MatrixWeights = typename pick<detail::Category::weights, Weights<PlainWeights>>::type;
  static constexpr Strategies strategies = pick<detail::Category::parallel, Parallel<single>>::value;
  using Checkpointing = pick<detail::Category::checkpointing, ActivationCheckpoint<None>>;
  using ComputeTypes = pick<detail::Category::precision, Precision<F32>>;
  /// Optimize<...> (optim/optimize.hpp), or Unsaid.
  using Optimization = pick<detail::Category::optimizer, detail::Unsaid>;
  /// The device and the family themselves, or Unsaid.
  using Device = typename pick<detail::Category::device, detail::Unsaid>::type;
  using ModelFamily = typename pick<detail::Category::family, detail::Unsaid>::type;
  using RecipeTag = void;
};

/// Whether R is a Recipe or derives from one.
template <class R>
concept AnyRecipe = requires {
  typename R::RecipeTag;
};

}  // namespace ashlar::inline v0
