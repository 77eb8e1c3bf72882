#include "ashlar/data/loader.hpp"

#include "ashlar/data/random_tokens.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

// Row r is r * 100, r * 100 + 1, ..; every third token ends a document.
struct Numbers final : TokenSource {
  void read(std::int64_t row, std::span<std::int32_t> tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = i % 3 == 2 ? 7 : static_cast<std::int32_t>(row * 100 + static_cast<std::int64_t>(i));
  }
  std::int32_t end_of_document() const override { return 7; }
  index_t vocab_size() const override { return 100000; }
};

}  // namespace

TEST_CASE("a batch has tokens, the next tokens as targets, and where documents begin") {
  Loader<HostBatch> loader(std::make_shared<TokenRows>(std::make_shared<Numbers>(), 4), 2, 0, 1);
  const HostBatch batch = loader.next();
  CHECK(batch.rows == 2);
  CHECK(batch.seq_len == 4);
  CHECK(batch.tokens == std::vector<std::int32_t>{0, 1, 7, 3, 100, 101, 7, 103});
  CHECK(batch.targets == std::vector<std::int32_t>{1, 7, 3, 4, 101, 7, 103, 104});
  CHECK(batch.document_start == std::vector<std::int32_t>{0, 0, 0, 3, 0, 0, 0, 3});
  CHECK(batch.counted() == 8);
  CHECK(loader.cursor() == 2);
  CHECK(loader.next().tokens[0] == 200);
}

TEST_CASE("targets that are negative do not count") {
  HostBatch batch{1, 3, {1, 2, 3}, {2, -100, 0}, {0, 0, 0}};
  CHECK(batch.counted() == 2);
}

TEST_CASE("the global batch is the same rows on any number of ranks") {
  const auto source = std::make_shared<RandomTokens>(3, 50);
  Loader<HostBatch> alone(std::make_shared<TokenRows>(source, 5), 8, 0, 1);
  for (int step = 0; step < 3; ++step) {
    const HostBatch whole = alone.next();
    for (const int ranks : {1, 2, 4, 8}) {
      std::vector<std::int32_t> tokens, targets;
      for (int r = 0; r < ranks; ++r) {
        Loader<HostBatch> loader(std::make_shared<TokenRows>(source, 5), 8, r, ranks);
        loader.seek(step * 8);
        const HostBatch part = loader.next();
        CHECK(part.rows == 8 / ranks);
        CHECK(loader.cursor() == alone.cursor());
        tokens.insert(tokens.end(), part.tokens.begin(), part.tokens.end());
        targets.insert(targets.end(), part.targets.begin(), part.targets.end());
      }
      CHECK(tokens == whole.tokens);
      CHECK(targets == whole.targets);
    }
  }
}

TEST_CASE("the cursor is all of the loader's state") {
  const auto source = std::make_shared<RandomTokens>(3, 50);
  const auto rows = std::make_shared<TokenRows>(source, 5);
  Loader<HostBatch> a(rows, 4, 1, 2), b(rows, 4, 1, 2);
  a.next();
  a.next();
  b.seek(a.cursor());
  CHECK(b.next().tokens == a.next().tokens);
}
