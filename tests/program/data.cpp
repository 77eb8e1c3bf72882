#include "ashlar/program/data.hpp"

#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

namespace {

Config on_text(const TemporaryFolder& folder, std::size_t bytes) {
  Config c;
  c.training.dataset_path = folder.write("text", std::string(bytes, 'a')).string();
  c.training.seq_len = 8;
  return c;
}

}  // namespace

TEST_CASE("data are read as they are named") {
  const TemporaryFolder folder;
  Config c = on_text(folder, 99);  // and the end of the document
  const RunData whole = open_data(c, 300);
  CHECK(whole.text->tokens.size() == 100);
  CHECK(!whole.held_out);
  c.validation.enable = true;
  const RunData cut = open_data(c, 300);
  CHECK(cut.text->tokens.size() == 90);
  CHECK(cut.held_out->size() == 10);
  CHECK(cut.train->vocab_size() == Text::num_tokens);
  c = {};
  c.training.dataset = "random";
  CHECK(open_data(c, 300).train->vocab_size() == 300);
}

TEST_CASE("a held-out part without a row is refused before anything is trained") {
  const TemporaryFolder folder;
  Config c = on_text(folder, 79);
  c.validation.enable = true;
  CHECK_THROWS_WITH(open_data(c, 300),
                    ContainsText("--validation.held_out_fraction 0.1 holds out 8 tokens, fewer than"));
  c = on_text(folder, 89);  // 9 tokens are one row and its last target
  c.validation.enable = true;
  CHECK_NOTHROW(open_data(c, 300));
  c.validation.held_out_fraction = 0.95;
  CHECK_THROWS_WITH(open_data(c, 300), ContainsText("the text has 4 tokens"));
}

TEST_CASE("of random tokens nothing can be held out") {
  Config c;
  c.training.dataset = "random";
  c.validation.enable = true;
  CHECK_THROWS_WITH(open_data(c, 300), ContainsText("--validation.enable needs --training.dataset text"));
}
