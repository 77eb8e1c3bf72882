// What every mask must keep (ops/attention/mask.hpp), and what each of the library's shows.
#include "ashlar/ops/attention/local_masks.hpp"
#include "ashlar/ops/attention/mask.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "attention_problem.hpp"

using namespace ashlar;

namespace {

/// keys() holds every visible key and nothing past the end; all_visible() is true only of what is. Over all tiles
/// of `positions` positions, and whatever the number of keys.
template <class M>
void check_laws(const typename M::State& mask, index_t batch, index_t positions) {
  static_assert(Mask<M>);
  for (index_t b = 0; b < batch; ++b)
    for (index_t q_begin = 0; q_begin < positions; ++q_begin)
      for (index_t q_end = q_begin + 1; q_end <= positions; ++q_end) {
        // Of the queries: the first and the last key that one of them sees, and those that all of them see.
        std::vector<bool> some(static_cast<std::size_t>(positions)), all(some.size(), true);
        for (index_t k = 0; k < positions; ++k)
          for (index_t q = q_begin; q < q_end; ++q) {
            const bool visible = M::visible(mask, b, q, k);
            some[static_cast<std::size_t>(k)] = some[static_cast<std::size_t>(k)] || visible;
            all[static_cast<std::size_t>(k)] = all[static_cast<std::size_t>(k)] && visible;
          }
        bool holds = true, true_of_all = true;
        for (const index_t key_end : {index_t{0}, index_t{1}, positions / 2, positions}) {
          const KeyRange range = M::keys(mask, b, q_begin, q_end, key_end);
          holds = holds && range.end <= key_end;
          for (index_t k = 0; k < key_end; ++k)
            holds = holds && (!some[static_cast<std::size_t>(k)] || (k >= range.begin && k < range.end));
        }
        for (index_t k_begin = 0; k_begin < positions; ++k_begin)
          for (index_t k_end = k_begin + 1; k_end <= positions; ++k_end)
            if (M::all_visible(mask, b, q_begin, q_end, k_begin, k_end))
              true_of_all =
                  true_of_all && std::all_of(all.begin() + k_begin, all.begin() + k_end, [](bool x) { return x; });
        INFO("sequence " << b << ", queries " << q_begin << " to " << q_end);
        REQUIRE(holds);
        REQUIRE(true_of_all);
      }
}

/// A line a query: x where it sees the key.
template <class M>
std::vector<std::string> picture(const typename M::State& mask, index_t queries, index_t keys) {
  std::vector<std::string> out;
  for (index_t q = 0; q < queries; ++q) {
    out.emplace_back();
    for (index_t k = 0; k < keys; ++k) out.back() += M::visible(mask, 0, q, k) ? 'x' : '.';
  }
  return out;
}
using Picture = std::vector<std::string>;

/// How often M lets a tile of 8 by 8, within 64 positions, skip the predicate or be left out.
template <class M>
index_t tiles_skipped(const typename M::State& mask) {
  index_t n = 0;
  for (index_t q = 0; q < 64; q += 8)
    for (index_t k = 0; k < 64; k += 8) {
      const KeyRange range = M::keys(mask, 0, q, q + 8, 64);
      n += k + 8 <= range.begin || k >= range.end || M::all_visible(mask, 0, q, q + 8, k, k + 8);
    }
  return n;
}

}  // namespace

TEST_CASE("masks keep the laws of masks", "[attention]") {
  constexpr index_t positions = 24;
  test::TestTensor<std::int32_t> start = test::documents(2, positions, {5, 1, 9, 2});
  const BlockCausal::State of_documents{start.view().data(), positions};
  check_laws<Causal>({}, 1, positions);
  check_laws<Bidirectional>({}, 1, positions);
  check_laws<BlockCausal>(of_documents, 2, positions);
  check_laws<test::Window>({5}, 1, positions);
  check_laws<test::Sparse>({}, 2, positions);
  for (const index_t size : {1, 2, 7, 12, 24, 100}) {
    check_laws<Chunked<Causal>>({{}, size}, 1, positions);
    check_laws<Chunked<Bidirectional>>({{}, size}, 1, positions);
    check_laws<Chunked<BlockCausal>>({of_documents, size}, 2, positions);
    check_laws<Chunked<SlidingWindow<Causal>>>({{{}, 3}, size}, 1, positions);
    check_laws<SlidingWindow<Causal>>({{}, size}, 1, positions);
    check_laws<SlidingWindow<BlockCausal>>({of_documents, size}, 2, positions);
  }
}

TEST_CASE("what each mask shows", "[attention]") {
  CHECK(picture<Causal>({}, 4, 4) == Picture{"x...", "xx..", "xxx.", "xxxx"});
  CHECK(picture<Bidirectional>({}, 2, 3) == Picture{"xxx", "xxx"});
  // A document ends with its end-of-document token, here those at positions 1 and 4.
  test::TestTensor<std::int32_t> start({1, 6}, {0, 0, 2, 2, 2, 5});
  const BlockCausal::State of_documents{start.view().data(), 6};
  CHECK(picture<BlockCausal>(of_documents, 6, 6) ==
        Picture{"x.....", "xx....", "..x...", "..xx..", "..xxx.", ".....x"});
  CHECK(picture<Chunked<Causal>>({{}, 3}, 7, 7) ==
        Picture{"x......", "xx.....", "xxx....", "...x...", "...xx..", "...xxx.", "......x"});
  CHECK(picture<Chunked<Bidirectional>>({{}, 2}, 4, 4) == Picture{"xx..", "xx..", "..xx", "..xx"});
  // Documents are looked up at the true positions, not at positions within the chunk.
  CHECK(picture<Chunked<BlockCausal>>({of_documents, 4}, 6, 6) ==
        Picture{"x.....", "xx....", "..x...", "..xx..", "....x.", ".....x"});
  CHECK(picture<SlidingWindow<Causal>>({{}, 3}, 5, 5) == Picture{"x....", "xx...", "xxx..", ".xxx.", "..xxx"});
  CHECK(picture<SlidingWindow<BlockCausal>>({of_documents, 2}, 6, 6) ==
        Picture{"x.....", "xx....", "..x...", "..xx..", "...xx.", ".....x"});
}

TEST_CASE("bounds of masks are tight: of 64 tiles, only those on an edge ask for each pair", "[attention]") {
  CHECK(tiles_skipped<Causal>({}) == 64 - 8);
  CHECK(tiles_skipped<Bidirectional>({}) == 64);
  CHECK(tiles_skipped<Chunked<Causal>>({{}, 16}) == 64 - 8);
  CHECK(tiles_skipped<Chunked<Causal>>({{}, 64}) == 64 - 8);
  CHECK(tiles_skipped<Chunked<Bidirectional>>({{}, 16}) == 64);
  CHECK(tiles_skipped<SlidingWindow<Causal>>({{}, 17}) == 64 - 8 - 6);  // the diagonal, and the window's other end
  CHECK(tiles_skipped<SlidingWindow<Causal>>({{}, 100}) == 64 - 8);
}

TEST_CASE("the pairs that masks show, for counts of work", "[attention]") {
  CHECK(visible_pairs<Bidirectional>({}, 10, 20) == 200);
  CHECK(visible_pairs<Causal>({}, 20, 20) == 200);
  CHECK(visible_pairs<test::Sparse>({}, 20, 20) == 200);
  CHECK(visible_pairs<Chunked<Causal>>({{}, 5}, 20, 20) == 4 * 5 * 5 / 2.0);
  CHECK(visible_pairs<Chunked<Bidirectional>>({{}, 5}, 20, 20) == 4 * 5 * 5);
  CHECK(visible_pairs<SlidingWindow<Causal>>({{}, 4}, 20, 20) == 4 * 4 / 2 + 16 * 4);
  CHECK(visible_pairs<SlidingWindow<Causal>>({{}, 50}, 20, 20) == 200);
  CHECK(visible_pairs<SlidingWindow<Causal>>({{}, 50}, 1, 20) == visible_pairs<Causal>({}, 1, 20));
}
