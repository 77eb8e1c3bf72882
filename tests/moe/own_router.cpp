// A router of a user's own, from nothing to a trained mixture: what a recipe needs of it, and the laws that it keeps.
#include "ashlar/moe/moe.hpp"
#include "moe/router_laws.hpp"

using namespace ashlar;

namespace {

// Routing without learning (Roller et al. 2021, arXiv:2106.04426): a token's experts follow from the signs of its
// elements, so that nothing has to be balanced, and its weights are equal.
template <class E>
class SignHashRouter {
 public:
  using T = typename E::Compute;
  using A = Acc<T>;
  using D = typename E::Device;
  template <class U>
  using View = TensorView<U, D>;

  struct Saved {};

  SignHashRouter(Declarations<E>, index_t, const MoeSizes& sizes) : sizes_(sizes) {}

  RoutedTokens<E> route(Context<E>& c, View<const T> x, Saved&) {
    auto experts = c.template kept<std::int32_t>({x.rows(), sizes_.top_k});
    auto weights = c.template kept<A>({x.rows(), sizes_.top_k});
    for (index_t t = 0; t < x.rows(); ++t) {
      std::uint64_t signs = 1;
      for (index_t i = 0; i < x.cols(); ++i) signs = signs * 31 + (x.row(t)[i] > 0);
      for (index_t j = 0; j < sizes_.top_k; ++j) {
        const auto expert = (signs + static_cast<std::uint64_t>(j)) % static_cast<std::uint64_t>(sizes_.num_experts);
        experts.row(t)[j] = static_cast<std::int32_t>(expert);
        weights.row(t)[j] = static_cast<A>(sizes_.route_scale / static_cast<double>(sizes_.top_k));
      }
    }
    return {experts, weights};
  }
  void backward(Context<E>&, View<const A>, const Saved&, View<T>) {}
  View<std::int32_t> take_counts(typename D::Queue&) { return {}; }
  void finish_step(typename D::Queue&) {}

 private:
  MoeSizes sizes_;
};

// The policy: what a recipe names.
struct SignHash {
  template <class E>
  using Module = SignHashRouter<E>;
};

using E = Environment<Cpu, double>;

}  // namespace

TEST_CASE("a router of the user's own keeps the laws of routers") {
  test::router_laws<E, SignHashRouter<E>>({.num_experts = 5, .top_k = 1, .route_norm = true, .route_scale = 3}, true);
  test::router_laws<E, SignHashRouter<E>>({.num_experts = 5, .top_k = 3, .route_norm = true, .route_scale = 3}, true);
}

TEST_CASE("a mixture under a router of the user's own has the right gradients") {
  test::Subject<E> s;
  MoE<SignHash>::Module<E> moe(s.declarations, 4, {.num_experts = 3, .top_k = 2, .hidden_dim = 5}, .02);
  decltype(moe)::Saved saved;
  s.sequences.count = 1;
  s.sequences.len = 9;
  s.add_input({9, 4});
  s.forward = [&](Context<E>& c, const auto& in) { return std::vector{moe.forward(c, in[0], saved)}; };
  s.recompute = [&](Context<E>& c) { moe.recompute(c, saved); };
  s.backward = [&](Context<E>& c, const auto& dys) {
    return std::vector{moe.backward(c, dys[0].reshaped({9, 4}), saved)};
  };
  test::GradientLaw<E>(s).check();
}
