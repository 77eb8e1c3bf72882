// Transformer: the model that a recipe names. Here what a recipe leaves unsaid gets its default: Llama 3, the kinds
// that its family has, the host. Read next: core/recipe.hpp, models/decoder/decoder.hpp.
#pragma once

#include "ashlar/core/recipe.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/models/decoder/decoder.hpp"
#include "ashlar/models/llama3/llama3.hpp"

namespace ashlar::inline v0 {

namespace detail {

template <class Said, class Default>
using Or = std::conditional_t<std::is_same_v<Said, Unsaid>, Default, Said>;

template <class R>
using FamilyOf = Or<typename R::ModelFamily, Llama3>;

template <class Kinds>
struct DenseFirst;
template <class... Kinds>
struct DenseFirst<Ffn<Kinds...>> : WithDense<Kinds...> {};

/// The kinds of recipe R's decoder, its own or its family's.
template <class R>
using AttentionOf = Or<typename R::Attention, typename FamilyOf<R>::Attention>;
template <class R>
using FeedForwardOf = typename DenseFirst<Or<typename R::FeedForward, typename FamilyOf<R>::FeedForward>>::type;

/// A family's own model where it has one, else a decoder of the recipe's kinds.
template <class F, class E, class R>
struct ModelOfFamily {
  using type = Decoder<E, F, AttentionOf<R>, FeedForwardOf<R>>;
};
template <class F, class E, class R>
requires requires {
  typename F::template Model<E, R>;
}
struct ModelOfFamily<F, E, R> {
  using type = typename F::template Model<E, R>;
};

}  // namespace detail

/// Where recipe R runs: On<...>, or the host.
template <AnyRecipe R>
using DeviceOf = detail::Or<typename R::Device, Cpu>;

/// Recipe R's model on device D in compute type T: what Trainer is a template over.
template <AnyRecipe R, class D = DeviceOf<R>, class T = F32>
struct ModelOf
    : detail::ModelOfFamily<detail::FamilyOf<R>, Environment<D, T, R::strategies, typename R::MatrixWeights>, R>::type {
  using Recipe = R;
};

namespace detail {
template <class... P>
struct RecipeOf {
  static_assert(
      (Policy<P> && ...),
      "Transformer<...> takes one recipe, or policies: Attn<>, Ffn<>, Weights<>, Parallel<>, ActivationCheckpoint<>, "
      "Precision<>, On<>, Family<>, Optimize<>; wrap a bare kind, as in Attn<Sdpa>.");
  using type = Recipe<P...>;
};
template <AnyRecipe R>
struct RecipeOf<R> {
  using type = R;
};
}  // namespace detail

/// A model by recipe: Transformer<MyRecipe>, or the policies themselves.
template <class... P>
struct Transformer {
  using Recipe = typename detail::RecipeOf<P...>::type;
  /// In compute type T.
  template <class T = F32>
  using In = ModelOf<Recipe, DeviceOf<Recipe>, T>;
};

}  // namespace ashlar::inline v0
