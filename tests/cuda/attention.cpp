#include "ashlar/ops/attention/cuda.cuh"

#include <memory>
#include <utility>

#include "ashlar/ops/attention/attention.hpp"
#include "device_tensor.hpp"

using namespace ashlar;
using ops::AttentionShape;
using ops::Merge;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

/// Masks of a user's own. Window: the last `width` positions, with tight bounds. Sparse: no query of every third
/// position sees any key, and the bounds say nothing.
struct Window {
  struct State {
    index_t width = 0;
  };
  static constexpr bool needs_documents = false;
  ASHLAR_HOST_DEVICE static bool visible(const State& s, index_t, index_t q, index_t k) {
    return k <= q && k > q - s.width;
  }
  ASHLAR_HOST_DEVICE static KeyRange keys(const State& s, index_t, index_t q_begin, index_t q_end, index_t key_len) {
    return {q_begin < s.width ? 0 : q_begin - s.width + 1, q_end < key_len ? q_end : key_len};
  }
  ASHLAR_HOST_DEVICE static bool all_visible(const State& s, index_t, index_t q_begin, index_t q_end, index_t k_begin,
                                             index_t k_end) {
    return k_end <= q_begin + 1 && k_begin > q_end - 1 - s.width;
  }
};
struct Sparse {
  struct State {};
  static constexpr bool needs_documents = false;
  ASHLAR_HOST_DEVICE static bool visible(const State&, index_t b, index_t q, index_t k) {
    return q % 3 != 1 && (q + k + b) % 2 == 0;
  }
  ASHLAR_HOST_DEVICE static KeyRange keys(const State&, index_t, index_t, index_t, index_t key_len) {
    return {0, key_len};
  }
  ASHLAR_HOST_DEVICE static bool all_visible(const State&, index_t, index_t, index_t, index_t, index_t) {
    return false;
  }
};
static_assert(Mask<Window> && Mask<Sparse>);

AttentionShape sizes(index_t batch, index_t query_len, index_t key_len, index_t heads, index_t kv_heads,
                     index_t head_dim, index_t query_begin = 0, index_t spare = 0) {
  return {batch,           query_len, key_len,
          key_len + spare, heads,     kv_heads,
          head_dim,        head_dim,  1 / std::sqrt(double(head_dim)),
          query_begin};
}
AttentionShape with_value_dim(AttentionShape s, index_t value_dim) {
  s.value_dim = value_dim;
  return s;
}
AttentionShape with_key_begin(AttentionShape s, index_t key_begin) {
  s.key_begin = key_begin;
  return s;
}

/// Forward and backward agree with Cpu, bit for bit from run to run; and, where `twice`, so do a second forward merged
/// into the first, as if its keys were there twice, and gradients added to the first ones. Rows of key and value past
/// key_len hold NaN, and their gradients stay unwritten. make_state(device) makes the mask's state, in that device's
/// memory.
template <class M, class T>
void check_attention(const AttentionShape& s, Layout layout, auto make_state, double scale = 1, bool twice = false) {
  TestTensor<T> query(s.query()), dout(s.out()), key(s.key()), value(s.value());
  query.randomise(1, scale);
  key.randomise(2);
  value.randomise(3);
  dout.randomise(4);
  for (index_t b = 0; b < s.batch; ++b)
    for (index_t i = b * s.key_capacity + s.key_len; i < (b + 1) * s.key_capacity; ++i)
      for (auto* tensor : {&key, &value})
        for (index_t c = 0; c < tensor->cols(); ++c) tensor->at(i, c) = T(std::numeric_limits<float>::quiet_NaN());
  INFO("batch " << s.batch << " queries " << s.query_len << " keys " << s.key_len << " heads " << s.heads << "/"
                << s.kv_heads << " dims " << s.head_dim << ", " << s.value_dim << " from " << s.query_begin << ", "
                << s.key_begin);
  test::agrees_with_cpu(
      [&](auto device) {
        using D = decltype(device);
        auto& queue = test::queue<D>();
        const auto state = make_state(device);
        const DeviceTensor<T, D> q(query, layout), k(key, layout), v(value, {layout.offset, 2 * layout.gap}),
            d(dout, layout), out(s.out(), layout), dq(s.query(), layout), dk(s.key(), layout), dv(s.value());
        const DeviceTensor<Acc<T>, D> lse(Shape{s.lse()}), delta(lse.view().shape());
        const auto backward = [&](bool accumulate) {
          ops::attention_backward<M, T, D>(queue, s, state.mask, {q, k, v}, lse, delta, d, {dq, dk, dv}, accumulate);
        };
        Results results;
        const auto take = [&](const auto&... tensors) { (results.numbers.push_back(tensors.values()), ...); };
        ops::attention<M, T, D>(queue, s, state.mask, {q, k, v}, {out, lse});
        ops::attention_delta<T, D>(queue, s, out, d, delta.view());
        backward(false);
        take(out, lse, delta, dq, dk, dv);
        if (!twice) return results;
        backward(true);
        ops::attention<M, T, D>(queue, s, state.mask, {q, k, v}, {out, lse}, Merge::by_lse);
        take(out, lse, dq, dk, dv);
        return results;
      },
      8 * test::tolerance<T> * scale, 1);
}

/// The state of a mask that needs none of the device's memory.
template <class M>
auto plain(typename M::State mask = {}) {
  struct State {
    typename M::State mask;
  };
  return [=](auto) { return State{mask}; };
}

/// Sequences whose documents have these lengths, over and over.
auto documents(index_t batch, index_t seq_len, const std::vector<std::int32_t>& lengths) {
  TestTensor<std::int32_t> start({batch, seq_len});
  for (index_t b = 0; b < batch; ++b) {
    std::int32_t begin = 0;
    auto which = static_cast<std::size_t>(b);
    for (std::int32_t i = 0; i < seq_len; ++i) {
      if (i >= begin + lengths[which % lengths.size()]) begin = i, ++which;
      start.at(b, i) = begin;
    }
  }
  return [=](auto device) {
    struct State {
      std::unique_ptr<DeviceTensor<std::int32_t, decltype(device)>> memory;
      BlockCausal::State mask;
    };
    auto memory = std::make_unique<DeviceTensor<std::int32_t, decltype(device)>>(start);
    const BlockCausal::State mask{memory->view().data(), seq_len};
    return State{std::move(memory), mask};
  };
}

}  // namespace

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: causal", "[attention]", float, double, bf16) {
  using T = TestType;
  check_attention<Causal, T>(sizes(1, 1, 1, 1, 1, 16), {}, plain<Causal>());
  check_attention<Causal, T>(sizes(2, 33, 33, 2, 2, 8), {1, 3}, plain<Causal>());
  check_attention<Causal, T>(sizes(1, 65, 65, 4, 2, 13), {0, 4}, plain<Causal>());        // grouped heads
  check_attention<Causal, T>(sizes(2, 9, 70, 3, 1, 16, 61, 5), {}, plain<Causal>());      // a cache with room
  check_attention<Causal, T>(sizes(2, 1, 40, 4, 2, 24, 39, 3), {0, 1}, plain<Causal>());  // one new token
  check_attention<Causal, T>(sizes(1, 20, 45, 2, 1, 16), {}, plain<Causal>());            // keys that nobody sees
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: head dimensions", "[attention]", float, double, bf16) {
  using T = TestType;
  for (const index_t dim : {1, 3, 64, 65, 128, 200, 256}) {
    const index_t length = dim > 64 ? 9 : 35;
    check_attention<Causal, T>(sizes(1, length, length, 2, 1, dim), test::layouts[dim % 3], plain<Causal>());
  }
  CHECK_THROWS_AS((check_attention<Causal, T>(sizes(1, 1, 1, 1, 1, 257), {}, plain<Causal>())), Error);
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: documents", "[attention]", float, double, bf16) {
  using T = TestType;
  check_attention<BlockCausal, T>(sizes(2, 80, 80, 2, 1, 16), {}, documents(2, 80, {5, 1, 40, 2}));
  check_attention<BlockCausal, T>(sizes(1, 65, 65, 2, 2, 16), {0, 2}, documents(1, 65, {64}));
  check_attention<BlockCausal, T>(sizes(1, 50, 50, 1, 1, 16), {}, documents(1, 50, {1}));
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: a mask of the user's own", "[attention]", float, double, bf16) {
  using T = TestType;
  check_attention<Window, T>(sizes(1, 100, 100, 2, 1, 16), {}, plain<Window>({7}));
  check_attention<Bidirectional, T>(sizes(1, 20, 70, 2, 2, 16), {1, 0}, plain<Bidirectional>());
  check_attention<Sparse, T>(sizes(2, 37, 66, 2, 1, 16), {}, plain<Sparse>());  // queries that see no key
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: local masks", "[attention]", float, bf16) {
  using T = TestType;
  check_attention<Chunked<Causal>, T>(sizes(2, 70, 70, 2, 1, 16), {}, plain<Chunked<Causal>>({{}, 33}));
  check_attention<Chunked<Causal>, T>(sizes(1, 9, 70, 2, 1, 16, 61, 5), {}, plain<Chunked<Causal>>({{}, 16}));
  check_attention<SlidingWindow<Causal>, T>(sizes(1, 70, 70, 2, 1, 16), {1, 3}, plain<SlidingWindow<Causal>>({{}, 20}));
  const auto within = [](auto make_documents) {
    return [=](auto device) {
      auto documents = make_documents(device);
      struct State {
        decltype(documents) of_documents;
        Chunked<BlockCausal>::State mask;
      };
      const BlockCausal::State base = documents.mask;
      return State{std::move(documents), {base, 24}};
    };
  };
  check_attention<Chunked<BlockCausal>, T>(sizes(2, 70, 70, 2, 1, 16), {}, within(documents(2, 70, {5, 1, 40, 2})));
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: values of another dimension", "[attention]", float, double) {
  using T = TestType;
  check_attention<Causal, T>(with_value_dim(sizes(1, 20, 20, 2, 2, 192), 128), {0, 16}, plain<Causal>());
  check_attention<Causal, T>(with_value_dim(sizes(2, 35, 35, 2, 1, 6), 4), {1, 3}, plain<Causal>(), 1, true);
  check_attention<Bidirectional, T>(with_value_dim(sizes(1, 20, 33, 2, 1, 3), 70), {}, plain<Bidirectional>(), 1, true);
  CHECK_THROWS_AS((check_attention<Causal, T>(with_value_dim(sizes(1, 1, 1, 1, 1, 8), 257), {}, plain<Causal>())),
                  Error);
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: keys that begin anywhere", "[attention]", float, bf16) {
  using T = TestType;
  const auto from = [](index_t query_begin, index_t key_begin) {
    return with_key_begin(sizes(1, 36, 40, 2, 1, 16, query_begin, 3), key_begin);
  };
  for (const auto& [query, key] : {std::pair{50, 0}, {50, 30}, {50, 60}, {50, 86}}) {
    check_attention<Causal, T>(from(query, key), {}, plain<Causal>(), 1, true);
    check_attention<BlockCausal, T>(from(query, key), {}, documents(1, 130, {45, 3, 20}), 1, true);
  }
  check_attention<Chunked<Causal>, T>(from(50, 30), {}, plain<Chunked<Causal>>({{}, 25}), 1, true);
  check_attention<SlidingWindow<Causal>, T>(from(50, 30), {}, plain<SlidingWindow<Causal>>({{}, 9}), 1, true);
  check_attention<Bidirectional, T>(from(3, 90), {}, plain<Bidirectional>(), 1, true);
}

TEMPLATE_TEST_CASE("a ring of blocks of keys on Cuda is whole attention on Cpu", "[attention]", float, double) {
  using T = TestType;
  // One sequence, so that a block of keys is a view; the second block is of no keys, the last one's no query sees.
  const AttentionShape s = with_value_dim(sizes(1, 70, 110, 4, 2, 24), 16);
  const std::pair<index_t, index_t> blocks[] = {{33, 70}, {70, 70}, {0, 33}, {70, 110}};
  const auto make_state = documents(1, 110, {5, 1, 40, 64});
  TestTensor<T> query(s.query()), dout(s.out()), key(s.key()), value(s.value());
  query.randomise(1);
  key.randomise(2);
  value.randomise(3);
  dout.randomise(4);
  test::agrees_with_cpu(
      [&](auto device) {
        using D = decltype(device);
        using M = BlockCausal;
        auto& queue = test::queue<D>();
        const auto state = make_state(device);
        const DeviceTensor<T, D> q(query), k(key, {0, 4}), v(value, {1, 3}), d(dout), out(s.out(), {0, 4}),
            dq(s.query()), dk(s.key(), {1, 1}), dv(s.value());
        const DeviceTensor<Acc<T>, D> lse(Shape{s.lse()}), delta(lse.view().shape());
        const auto whole_or_ring = [&](auto call) {
          if (std::is_same_v<D, Cpu>) return call(s, index_t{0}, s.key_len, true);
          for (const auto& [begin, end] : blocks) {
            AttentionShape block = s;
            block.key_len = block.key_capacity = end - begin;
            block.key_begin = begin;
            call(block, begin, end - begin, begin == blocks[0].first);
          }
        };
        const auto in = [&](index_t begin, index_t n) {
          return ops::QueryKeyValue<const T, D>{q.view(), k.view().rows(begin, n), v.view().rows(begin, n)};
        };
        whole_or_ring([&](const AttentionShape& block, index_t begin, index_t n, bool first) {
          ops::attention<M, T, D>(queue, block, state.mask, in(begin, n), {out, lse},
                                  first ? Merge::replace : Merge::by_lse);
        });
        ops::attention_delta<T, D>(queue, s, out, d, delta.view());
        // dq is added up over the blocks; each block has dk and dv to itself, which begin as zeros.
        for (const auto& gradient : {dk.view(), dv.view()})
          for (index_t r = 0; r < gradient.rows(); ++r)
            D::fill_zero(queue, gradient.row(r), static_cast<std::size_t>(gradient.cols()) * sizeof(T));
        whole_or_ring([&](const AttentionShape& block, index_t begin, index_t n, bool first) {
          ops::attention_backward<M, T, D>(queue, block, state.mask, in(begin, n), lse, delta, d,
                                           {dq, dk.view().rows(begin, n), dv.view().rows(begin, n)}, !first);
        });
        return Results{{out.values(), lse.values(), dq.values(), dk.values(), dv.values()}};
      },
      8 * test::tolerance<T>, 1);
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: empty dimensions", "[attention]", float, bf16) {
  using T = TestType;
  check_attention<Causal, T>(sizes(0, 5, 5, 2, 1, 16), {}, plain<Causal>());
  check_attention<Causal, T>(sizes(2, 0, 5, 2, 1, 16), {}, plain<Causal>());
  check_attention<Bidirectional, T>(sizes(2, 5, 0, 2, 1, 16, 0, 2), {}, plain<Bidirectional>());
}

TEMPLATE_TEST_CASE("attention on Cuda agrees with Cpu: large scores", "[attention]", float, double) {
  using T = TestType;
  check_attention<Causal, T>(sizes(1, 40, 40, 1, 1, 16), {}, plain<Causal>(), 30);
}

// The kernels of Hopper: bf16, head dimensions 64 and 128, rows aligned to 16 bytes. Lengths about their tiles' edges.
TEST_CASE("flash attention on Cuda agrees with Cpu: causal, grouped heads", "[attention]") {
  check_attention<Causal, bf16>(sizes(1, 1, 1, 1, 1, 64), {}, plain<Causal>());
  check_attention<Causal, bf16>(sizes(1, 64, 64, 2, 1, 64), {}, plain<Causal>());
  check_attention<Causal, bf16>(sizes(2, 129, 129, 2, 1, 64), {8, 16}, plain<Causal>());
  check_attention<Causal, bf16>(sizes(1, 17, 17, 4, 1, 128), {0, 8}, plain<Causal>());
  check_attention<Causal, bf16>(sizes(1, 257, 257, 2, 2, 128), {}, plain<Causal>());
  check_attention<Causal, bf16>(sizes(2, 9, 150, 2, 1, 64, 141, 5), {}, plain<Causal>());  // a cache with room
  check_attention<Causal, bf16>(sizes(1, 20, 210, 2, 1, 64), {}, plain<Causal>());         // keys that nobody sees
}

TEST_CASE("flash attention on Cuda agrees with Cpu: documents", "[attention]") {
  check_attention<BlockCausal, bf16>(sizes(2, 200, 200, 2, 1, 64), {}, documents(2, 200, {5, 70, 1, 40}));
  check_attention<BlockCausal, bf16>(sizes(1, 130, 130, 1, 1, 128), {}, documents(1, 130, {64, 1}));
}

TEST_CASE("flash attention on Cuda agrees with Cpu: a mask of the user's own", "[attention]") {
  check_attention<Window, bf16>(sizes(1, 300, 300, 1, 1, 64), {}, plain<Window>({7}));
  check_attention<Bidirectional, bf16>(sizes(1, 65, 203, 2, 2, 64), {}, plain<Bidirectional>());
  check_attention<Sparse, bf16>(sizes(2, 70, 130, 2, 1, 64), {}, plain<Sparse>());  // queries that see no key
  check_attention<Sparse, bf16>(sizes(1, 70, 130, 1, 1, 128), {}, plain<Sparse>());
}

/// Attention over the keys in two parts, merged by lse, and its gradients, added up, are those over all of them: what a
/// ring of ranks does.
TEST_CASE("flash attention of parts of the keys merges", "[attention]") {
  const index_t dim = 64, heads = 2;
  for (const index_t first : {64, 100}) {  // keys of the first part
    const AttentionShape all = sizes(1, 150, 200, heads, 1, dim, 50);
    TestTensor<bf16> query(Shape{150, heads * dim}), dout(query.shape()), key(Shape{200, dim}), value(key.shape());
    query.randomise(1), key.randomise(2), value.randomise(3), dout.randomise(4);
    auto& queue = test::queue<Cuda>();
    const DeviceTensor<bf16, Cuda> q(query), k(key), v(value), d(dout);
    struct Result {
      explicit Result(const AttentionShape& s)
          : out(Shape{s.query_len, s.heads * s.head_dim}),
            dquery(out.view().shape()),
            dkey(Shape{s.key_len, s.head_dim}),
            dvalue(dkey.view().shape()),
            lse(Shape{s.heads * s.query_len}),
            delta(lse.view().shape()) {}
      DeviceTensor<bf16, Cuda> out, dquery, dkey, dvalue;
      DeviceTensor<float, Cuda> lse, delta;
    } whole(all), merged(all);
    using View = TensorView<bf16, Cuda>;
    using ConstView = TensorView<const bf16, Cuda>;
    using ops::cuda::flash_attention, ops::cuda::flash_attention_backward, ops::cuda::flash_attention_delta;
    CHECK(
        flash_attention<Causal>(queue, all, {}, {q.view(), k.view(), v.view()}, {whole.out.view(), whole.lse.view()}));
    CHECK(flash_attention_delta(queue, all, whole.out.view(), d.view(), whole.delta.view()));
    CHECK(flash_attention_backward<Causal>(queue, all, {}, {q.view(), k.view(), v.view()}, whole.lse.view(),
                                           whole.delta.view(), d.view(),
                                           {whole.dquery.view(), whole.dkey.view(), whole.dvalue.view()}, false, {}));
    const auto part = [&](index_t begin, index_t end, auto run) {
      AttentionShape s = all;
      s.key_len = s.key_capacity = end - begin;
      s.key_begin = begin;
      const auto rows = [&](const auto& x) { return x.view().rows(begin, end - begin); };
      run(s, ops::QueryKeyValue<const bf16, Cuda>{ConstView(q.view()), ConstView(rows(k)), ConstView(rows(v))},
          ops::QueryKeyValue<bf16, Cuda>{View(merged.dquery.view()), View(rows(merged.dkey)),
                                         View(rows(merged.dvalue))});
    };
    part(0, first, [&](const auto& s, const auto& in, const auto&) {
      CHECK(flash_attention<Causal>(queue, s, {}, in, {merged.out.view(), merged.lse.view()}));
    });
    part(first, 200, [&](const auto& s, const auto& in, const auto&) {
      CHECK(flash_attention<Causal, true>(queue, s, {}, in, {merged.out.view(), merged.lse.view()}));
    });
    for (auto* x : {&merged.dkey, &merged.dvalue})
      Cuda::fill_zero(queue, x->view().data(), static_cast<std::size_t>(200 * dim) * sizeof(bf16));
    CHECK(flash_attention_delta(queue, all, merged.out.view(), d.view(), merged.delta.view()));
    const auto backward = [&](const auto& s, const auto& in, const auto& gradients) {
      CHECK(flash_attention_backward<Causal>(queue, s, {}, in, merged.lse.view(), merged.delta.view(), d.view(),
                                             gradients, s.key_begin > 0, {}));
    };
    part(0, first, backward);
    part(first, 200, backward);
    const auto agrees = [&](const auto& got, const auto& want, double tolerance) {
      const auto a = got.values(), b = want.values();
      double worst = 0, largest = 0;
      for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(a[i] - b[i])), largest = std::max(largest, std::abs(b[i]));
      CHECK(worst <= tolerance * largest);
    };
    INFO("the first part has " << first << " keys");
    agrees(merged.lse, whole.lse, 1e-5);
    agrees(merged.out, whole.out, 0.01);
    agrees(merged.dquery, whole.dquery, 0.01);
    agrees(merged.dkey, whole.dkey, 0.01);
    agrees(merged.dvalue, whole.dvalue, 0.01);
  }
}

/// With sums for the gradient of queries, the backward pass agrees with Cpu, written and added onto itself; the
/// gradients of keys and values keep the bits that they have without.
template <class M>
void check_query_sums(const AttentionShape& s, Layout layout, auto make_state) {
  TestTensor<bf16> query(s.query()), dout(s.out()), key(s.key()), value(s.value());
  query.randomise(1), key.randomise(2), value.randomise(3), dout.randomise(4);
  INFO("batch " << s.batch << " queries " << s.query_len << " keys " << s.key_len << " heads " << s.heads << "/"
                << s.kv_heads << " dim " << s.head_dim);
  const auto run = [&](auto device, bool sums) {
    using D = decltype(device);
    auto& queue = test::queue<D>();
    const auto state = make_state(device);
    const DeviceTensor<bf16, D> q(query, layout), k(key, layout), v(value), d(dout, layout), out(s.out()),
        dq(s.query(), layout), dk(s.key()), dv(s.value());
    const DeviceTensor<float, D> lse(Shape{s.lse()}), delta(lse.view().shape()),
        query_sums(Shape{std::max<index_t>(1, ops::attention_query_sums<D>(s))});
    ops::attention<M, bf16, D>(queue, s, state.mask, {q, k, v}, {out, lse});
    ops::attention_delta<bf16, D>(queue, s, out, d, delta.view());
    std::vector<std::vector<double>> results;
    for (const bool accumulate : {false, true}) {
      ops::attention_backward<M, bf16, D>(queue, s, state.mask, {q, k, v}, lse, delta, d, {dq, dk, dv}, accumulate,
                                          sums ? query_sums.view() : TensorView<float, D>());
      for (const auto* x : {&dq, &dk, &dv}) results.push_back(x->values());
    }
    return results;
  };
  const auto want = run(Cpu{}, false);
  for (int attempt = 0; attempt < test::attempts(); ++attempt) {
    CAPTURE(attempt);
#if ASHLAR_CUDA_EMULATED
    using simt::Schedule;
    const simt::ScheduleScope scope(attempt == 0   ? Schedule::round_robin
                                    : attempt == 1 ? Schedule::adversarial
                                                   : Schedule::random,
                                    static_cast<std::uint64_t>(attempt));
#endif
    const auto got = run(Cuda{}, true);
    for (std::size_t i = 0; i < want.size(); ++i) {
      CAPTURE(i);
      CHECK(ashlar::test::max_error(got[i], want[i], 1) <= 16 * test::tolerance<bf16>);
    }
  }
}
TEST_CASE("flash attention that adds the gradient of queries by atomics agrees with Cpu", "[attention]") {
  check_query_sums<Causal>(sizes(1, 1, 1, 1, 1, 64), {}, plain<Causal>());
  check_query_sums<Causal>(sizes(2, 300, 300, 2, 1, 64), {8, 16}, plain<Causal>());
  check_query_sums<Causal>(sizes(1, 290, 290, 4, 2, 128), {0, 8}, plain<Causal>());
  check_query_sums<Causal>(sizes(1, 20, 210, 2, 1, 128), {}, plain<Causal>());  // keys that nobody sees
  check_query_sums<BlockCausal>(sizes(2, 400, 400, 2, 1, 128), {}, documents(2, 400, {5, 170, 1, 40}));
  check_query_sums<Sparse>(sizes(1, 200, 130, 2, 1, 64), {}, plain<Sparse>());  // queries that see no key
}

/// What a mask's bounds leave out is never loaded: values that are not finite would be seen.
TEST_CASE("flash attention never loads tiles outside of the mask's bounds", "[attention]") {
  const AttentionShape s = sizes(1, 64, 512, 1, 1, 64, 448);
  TestTensor<bf16> query(Shape{64, 64}), key(Shape{512, 64}), value(Shape{512, 64});
  query.randomise(1), key.randomise(2), value.randomise(3);
  const Window::State near{32};
  using Queue = Cuda::Queue;
  Queue& queue = test::queue<Cuda>();
  const DeviceTensor<bf16, Cuda> q(query), k(key), v(value), out(query.shape());
  const DeviceTensor<float, Cuda> lse(Shape{64});
  ops::attention<Window, bf16, Cuda>(queue, s, near, {q.view(), k.view(), v.view()}, {out.view(), lse.view()});
  const std::vector<double> whole = out.values();
  for (index_t i = 0; i < 256; ++i)
    for (index_t c = 0; c < 64; ++c) key.at(i, c) = value.at(i, c) = bf16(std::numeric_limits<float>::quiet_NaN());
  const DeviceTensor<bf16, Cuda> far_k(key), far_v(value);
  ops::attention<Window, bf16, Cuda>(queue, s, near, {q.view(), far_k.view(), far_v.view()}, {out.view(), lse.view()});
  CHECK(out.values() == whole);
}
