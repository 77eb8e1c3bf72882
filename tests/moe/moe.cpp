#include "ashlar/moe/moe.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;
using WithSoftmax = MoE<TopK<Softmax>>;
using WithSigmoid = MoE<TopK<Sigmoid>>;

constexpr index_t tokens = 7, dim = 4;

template <class Kind>
struct MoeSubject : test::Subject<E> {
  using Module = typename Kind::template Module<E>;

  explicit MoeSubject(const MoeSizes& sizes) : moe(this->declarations, dim, sizes, .02) {
    this->sequences.count = 1;
    this->sequences.len = tokens;
    this->add_input({tokens, dim});
    this->forward = [this](Context<E>& c, const auto& in) { return std::vector{moe.forward(c, in[0], saved)}; };
    this->recompute = [this](Context<E>& c) { moe.recompute(c, saved); };
    this->backward = [this](Context<E>& c, const auto& dys) {
      return std::vector{moe.backward(c, dys[0].reshaped({tokens, dim}), saved)};
    };
  }
  Module moe;
  typename Module::Saved saved;
};

template <class Kind>
void check_gradients() {
  for (const index_t top_k : {1, 2})
    for (const index_t shared : {0, 2})
      for (const bool norm : {false, true})
        for (const bool before : {false, true}) {
          // One expert a token whose weights are normalised: the weight is a constant, the router has no gradient.
          if (top_k == 1 && norm) continue;
          INFO("top_k " << top_k << ", shared " << shared << ", route_norm " << norm << ", weights before " << before);
          MoeSubject<Kind> s({.num_experts = 3,
                              .top_k = top_k,
                              .hidden_dim = 5,
                              .num_shared_experts = shared,
                              .route_norm = norm,
                              .route_scale = 1.7,
                              .score_before_experts = before});
          test::GradientLaw<E>(s).check();
        }
}

}  // namespace

TEST_CASE("a mixture's gradients under softmax scores") {
  check_gradients<WithSoftmax>();
}

TEST_CASE("a mixture's gradients under sigmoid scores") {
  check_gradients<WithSigmoid>();
}

TEST_CASE("a mixture's parameters and buffers by name") {
  MoeSubject<WithSigmoid> s({.num_experts = 6, .top_k = 2, .hidden_dim = 5, .num_shared_experts = 2});
  const auto entries = s.declarations.take();
  std::vector<std::string> names;
  for (const auto& e : entries)
    names.push_back(e.info.name + (e.info.expert ? " (expert) " : " ") + to_string(e.info.shape));
  CHECK(names == std::vector<std::string>{"router.gate.weight [6, 4]", "experts.w1 (expert) [6, 5, 4]",
                                          "experts.w2 (expert) [6, 4, 5]", "experts.w3 (expert) [6, 5, 4]",
                                          "shared_experts.w1.weight [10, 4]", "shared_experts.w3.weight [10, 4]",
                                          "shared_experts.w2.weight [4, 10]"});
  const auto buffers = s.declarations.take_buffers();
  REQUIRE(buffers.size() == 1);
  CHECK(buffers[0].name == "expert_bias");
  CHECK(buffers[0].values.count() == 6);
  Declarations<E> three(s.memory, s.queue, {}, {2, 3});
  MoeSubject<WithSigmoid>::Module cut(three, 4, {.num_experts = 6, .top_k = 2, .hidden_dim = 5}, .02);
  const auto parts = three.take();
  CHECK(parts[1].local_shape == Shape{2, 5, 4});
  CHECK(parts[1].local_offset == Shape{4, 0, 0});
}

TEST_CASE("experts that ep does not divide are refused in words") {
  test::Subject<E> s;
  Declarations<E> d(s.memory, s.queue, {}, {0, 4});
  try {
    MoeSubject<WithSigmoid>::Module(d, 4, {.num_experts = 6, .top_k = 2, .hidden_dim = 5}, .02);
    FAIL("no error");
  } catch (const ConfigError& e) {
    CHECK(std::string(e.what()).find("4") != std::string::npos);
    CHECK(std::string(e.what()).find("6") != std::string::npos);
  }
}
