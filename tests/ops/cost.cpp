// What operations report on Meta: each input read once and each output written once, in bytes, and what is added to
// counts as read and written. Flat tensors, so that every figure can be worked out by hand.
#include "ashlar/ops/adamw/adamw.hpp"
#include "ashlar/ops/attention/attention.hpp"
#include "ashlar/ops/cross_entropy/cross_entropy.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/embedding/embedding.hpp"
#include "ashlar/ops/gradient_norm/gradient_norm.hpp"
#include "ashlar/ops/grouped_gemm/grouped_gemm.hpp"
#include "ashlar/ops/load_balance/load_balance.hpp"
#include "ashlar/ops/matmul/matmul.hpp"
#include "ashlar/ops/permutation/permutation.hpp"
#include "ashlar/ops/rms_norm/rms_norm.hpp"
#include "ashlar/ops/rope/rope.hpp"
#include "ashlar/ops/router/router.hpp"
#include "ashlar/ops/swiglu/swiglu.hpp"
#include "catch.hpp"

using namespace ashlar;
using ops::Transpose;

namespace {

template <class T>
using View = TensorView<T, Meta>;
template <class T>
View<T> tensor(const Shape& shape) {
  return {nullptr, shape};
}

/// What one call of `operation` costs.
template <class Operation>
Cost cost(Operation&& operation) {
  Meta::Queue queue;
  operation(queue);
  CHECK(queue.operations == 1);
  return queue.total;
}

constexpr double two = 2, four = 4;  // bytes of a bf16, of a float or an index

}  // namespace

TEST_CASE("the bytes of dense operations", "[cost]") {
  const auto x = tensor<bf16>({8, 6}), y = tensor<bf16>({8, 6}), w = tensor<bf16>({6});
  const auto rstd = tensor<float>({8}), dw = tensor<float>({6});
  const double n = 8 * 6;
  CHECK(cost([&](auto& q) { ops::rms_norm<bf16, Meta>(q, x, {}, w, 1e-5, {}, y, rstd); }).bytes ==
        2 * n * two + 6 * two + 8 * four);
  CHECK(cost([&](auto& q) { ops::rms_norm<bf16, Meta>(q, x, y, w, 1e-5, x, y, rstd); }).bytes ==
        4 * n * two + 6 * two + 8 * four);
  for (const bool accumulate : {false, true}) {
    const auto workspace = tensor<float>({ops::rms_norm_backward_workspace<Meta>(8, 6)});
    const auto backward = [&](auto& q) {
      ops::rms_norm_backward<bf16, Meta>(q, y, x, w, rstd, y, accumulate, dw, workspace);
    };
    CHECK(cost(backward).bytes == (accumulate ? 4 : 3) * n * two + 6 * two + 8 * four + 2 * 6 * four);
  }
  CHECK(cost([&](auto& q) { ops::swiglu<bf16, Meta>(q, x, x, y); }).bytes == 3 * n * two);
  CHECK(cost([&](auto& q) { ops::swiglu_backward<bf16, Meta>(q, x, x, x, y, y); }).bytes == 5 * n * two);
  const auto table = tensor<float>({8, 6});
  const auto rope = [&](auto& q) { ops::rope<bf16, Meta>(q, x, {1, 6, 0, 6}, {8, 0}, table, ops::Direction::forward); };
  CHECK(cost(rope).bytes == 2 * n * two);
  const auto third = [&](auto& q) { ops::rope<bf16, Meta>(q, x, {1, 6, 4, 2}, {8, 0}, tensor<float>({8, 2}), {}); };
  CHECK(cost(third).bytes == 2 * n / 3 * two);
  CHECK(cost([&](auto& q) { ops::add<bf16, Meta>(q, x, x, y); }).bytes == 3 * n * two);
  CHECK(cost([&](auto& q) { ops::cast<bf16, float>(q, View<const bf16>(x), table); }).bytes == n * (two + four));

  const auto c = tensor<float>({8, 5});
  const auto b = tensor<bf16>({5, 6});
  for (const double beta : {0.0, 1.0}) {
    const auto matmul = [&](auto& q) { ops::matmul<bf16>(q, x, Transpose::no, b, Transpose::yes, c, beta); };
    CHECK(cost(matmul).bytes == (n + 30) * two + (beta != 0 ? 2 : 1) * 40 * four);
    CHECK(cost(matmul).flops == 2 * 8 * 5 * 6);
  }
  const auto flat = tensor<float>({48});
  for (const auto& copy : {View<bf16>(), tensor<bf16>({48})}) {
    const auto adamw = [&](auto& q) {
      ops::adamw<bf16, Meta>(q, {}, tensor<float>({1}), flat, flat, flat, flat, copy);
    };
    CHECK(cost(adamw).bytes == 7 * n * four + (copy ? n * two : 0));
  }
}

TEST_CASE("the operations of attention follow the mask and the dimensions of heads", "[cost]") {
  // 2 sequences, 6 heads of 12 columns, their values 8; 10 queries and 10 keys.
  const ops::AttentionShape shape{2, 10, 10, 10, 6, 6, 12, 8, 0.5};
  const auto q = tensor<bf16>(shape.query()), v = tensor<bf16>(shape.out());
  const auto lse = tensor<float>({shape.lse()});
  const auto forward = [&]<class M>(M, const typename M::State& mask) {
    return cost([&](auto& on) { ops::attention<M, bf16, Meta>(on, shape, mask, {q, q, v}, {v, lse}); }).flops;
  };
  const auto backward = cost([&](auto& on) {
    ops::attention_backward<Bidirectional, bf16, Meta>(on, shape, {}, {q, q, v}, lse, lse, v, {q, q, v});
  });
  CHECK(forward(Bidirectional{}, {}) == 2 * (2 * 6) * 100 * (12 + 8));
  CHECK(backward.flops == 2 * (2 * 6) * 100 * (3 * 12 + 2 * 8));
  CHECK(forward(Causal{}, {}) == 2 * (2 * 6) * 50 * (12 + 8));
  CHECK(forward(Chunked<Causal>{}, {{}, 5}) == 2 * (2 * 6) * 25 * (12 + 8));  // half of two squares of 5 by 5
  CHECK(forward(Chunked<Causal>{}, {{}, 50}) == forward(Causal{}, {}));
  CHECK(forward(SlidingWindow<Causal>{}, {{}, 4}) == 2 * (2 * 6) * (6 * 4 + 8) * (12 + 8));  // 6 full ones, a corner
  CHECK(forward(SlidingWindow<Causal>{}, {{}, 50}) == forward(Causal{}, {}));
}

TEST_CASE("the bytes of attention and of the loss", "[cost]") {
  const ops::AttentionShape shape{2, 4, 4, 4, 6, 2, 8, 8, 0.5};
  const auto q8 = tensor<bf16>({8, 48}), kv = tensor<bf16>({8, 16});
  const auto lse = tensor<float>({48});
  const auto forward = [&](ops::Merge merge) {
    return cost([&](auto& q) { ops::attention<Causal, bf16, Meta>(q, shape, {}, {q8, kv, kv}, {q8, lse}, merge); });
  };
  const Cost replaced = forward(ops::Merge::replace), merged = forward(ops::Merge::by_lse);
  CHECK(replaced.bytes == 2 * (8 * 48 + 8 * 16) * two + 48 * four);
  CHECK(merged.bytes == replaced.bytes + 8 * 48 * two + 48 * four);
  CHECK(replaced.flops == 2 * (2 * 6 * 4 * 4) * 8);  // two products of half the pairs, two operations a term
  CHECK(merged.flops == replaced.flops);
  CHECK(cost([&](auto& q) { ops::attention_delta<bf16, Meta>(q, shape, q8, q8, lse); }).bytes ==
        2 * 8 * 48 * two + 48 * four);
  for (const bool accumulate : {false, true}) {
    const auto backward = cost([&](auto& q) {
      ops::attention_backward<Causal, bf16, Meta>(q, shape, {}, {q8, kv, kv}, lse, lse, q8, {q8, kv, kv}, accumulate);
    });
    CHECK(backward.bytes == (3 * 8 * 48 + 4 * 8 * 16 + (accumulate ? 8 * 48 + 2 * 8 * 16 : 0)) * two + 2 * 48 * four);
    CHECK(backward.flops == 2.5 * replaced.flops);
  }

  const auto logits = tensor<float>({8, 6}), statistics = tensor<float>({8, 3}), loss = tensor<float>({8});
  const auto targets = tensor<std::int32_t>({8});
  CHECK(cost([&](auto& q) { ops::cross_entropy_statistics<float, Meta>(q, logits, targets, 0, statistics); }).bytes ==
        (48 + 8 + 24) * four);
  CHECK(cost([&](auto& q) {
          ops::cross_entropy_merge<float, Meta>(q, tensor<float>({2, 8, 3}), statistics);
        }).bytes == (48 + 24) * four);
  for (const auto& dlogits : {View<bf16>(), tensor<bf16>({8, 6})}) {
    const auto call = [&](auto& q) {
      ops::cross_entropy_backward<bf16, Meta>(q, logits, targets, 0, statistics, 1, dlogits, loss);
    };
    // The loss alone needs the statistics, not the logits.
    CHECK(cost(call).bytes == (8 + 24 + 8) * four + (dlogits ? 48 * (four + two) : 0));
    CHECK(cost(call).flops == (dlogits ? 4 * 48 : 0));
  }
}

TEST_CASE("the bytes of gathers, permutations and grouped products", "[cost]") {
  const auto tokens = tensor<bf16>({8, 6}), rows = tensor<bf16>({16, 6});
  const auto ids = tensor<std::int32_t>({8}), slots = tensor<std::int32_t>({16}), offsets = tensor<std::int32_t>({5});
  const auto experts = tensor<std::int32_t>({8, 2});
  const auto weights = tensor<float>({8, 2});
  for (const index_t vocab : {5, 100}) {
    CHECK(cost([&](auto& q) {
            ops::embedding<bf16, Meta>(q, ids, tensor<bf16>({vocab, 6}), 0, tokens);
          }).bytes == 8 * four + 2 * 48 * two);
    // At most every token's row of the table, or the whole table.
    const auto backward = [&](auto& q) {
      ops::embedding_backward<bf16, Meta>(q, ids, tokens, 0, tensor<float>({vocab, 6}), {});
    };
    CHECK(cost(backward).bytes == 8 * four + 48 * two + 2 * (vocab == 5 ? 5 : 8) * 6 * four);
  }
  CHECK(cost([&](auto& q) { ops::sort_by_expert<Meta>(q, experts, slots, slots, offsets, {}); }).bytes ==
        (3 * 16 + 5) * four);
  CHECK(cost([&](auto& q) { ops::permute<bf16, Meta>(q, tokens, slots, 2, rows); }).bytes ==
        (48 + 96) * two + 16 * four);
  for (const bool accumulate : {false, true}) {
    const double again = accumulate ? 48 * two : 0;
    CHECK(cost([&](auto& q) { ops::permute_backward<bf16, Meta>(q, rows, slots, 2, tokens, accumulate); }).bytes ==
          (48 + 96) * two + 16 * four + again);
    CHECK(cost([&](auto& q) { ops::unpermute<bf16, Meta>(q, rows, slots, weights, tokens, accumulate); }).bytes ==
          (48 + 96) * two + 2 * 16 * four + again);
  }
  CHECK(cost([&](auto& q) {
          ops::unpermute_backward<bf16, Meta>(q, tokens, rows, slots, weights, rows, weights);
        }).bytes == (48 + 2 * 96) * two + 3 * 16 * four);

  const auto w = tensor<bf16>({4, 7, 6}), y = tensor<bf16>({16, 7});
  CHECK(cost([&](auto& q) { ops::grouped_gemm<bf16, Meta>(q, rows, w, offsets, y); }).bytes ==
        (96 + 168 + 112) * two + 5 * four);
  CHECK(cost([&](auto& q) { ops::grouped_gemm_input_gradient<bf16, Meta>(q, y, w, offsets, rows, true); }).bytes ==
        (2 * 96 + 168 + 112) * two + 5 * four);
  const auto dw = tensor<float>({4, 7, 6});
  CHECK(cost([&](auto& q) { ops::grouped_gemm_weight_gradient<bf16, Meta>(q, y, rows, offsets, dw); }).bytes ==
        (96 + 112) * two + 2 * 168 * four + 5 * four);
  const auto bias = tensor<float>({4});
  CHECK(cost([&](auto& q) { ops::update_expert_bias<float, Meta>(q, tensor<std::int32_t>({4}), 1e-3, bias); }).bytes ==
        4 * 4 * four);
}
