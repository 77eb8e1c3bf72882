#include "ashlar/program/token_file.hpp"

#include "ashlar/checkpoint/safetensors.hpp"
#include "ashlar/comm/local.hpp"
#include "ashlar/program/data.hpp"
#include "ashlar/program/tokenize.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

namespace {

// Tokens by their bytes: a, b, ab; ids 3 and 4 are <s> and </s>.
constexpr const char* small =
    R"({"added_tokens": [{"id": 3, "content": "<s>", "special": true}, {"id": 4, "content": "</s>", "special": true}],
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";
using Ids = std::vector<std::int32_t>;

Ids all(const TokenSequence& tokens) {
  Ids out(tokens.size());
  tokens.read(0, out);
  return out;
}
std::string tensor_file(const SafetensorsEntry& entry, const std::map<std::string, std::string>& metadata,
                        const std::string& data) {
  return format_safetensors_header({entry}, metadata) + data;
}
std::string bytes_of(const Ids& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(std::int32_t)};
}

}  // namespace

TEST_CASE("tokens are written in pieces and mapped") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "t.safetensors";
  const Ids first{5, 6, 7}, second{1}, none;
  write_token_file(path, 9, 8, [&](const auto& put) { put(first), put(none), put(second); });
  const MappedTokens tokens = map_token_file(path.string());
  CHECK(all(tokens) == Ids{5, 6, 7, 1});
  CHECK(tokens.vocab_size() == 9);
  CHECK(tokens.end_of_document() == 8);
  CHECK(all(tokens.part(1, 3)) == Ids{6, 7});
  const SafetensorsHeader header = read_safetensors_header(File::open(path));
  REQUIRE(header.entries.size() == 1);
  CHECK(header.entries[0].name == "tokens");
  CHECK(header.entries[0].shape == Shape{4});
  CHECK(mentions(error_of([&] { write_token_file(path, 9, 8, [](const auto&) { fail("stopped"); }); }), "stopped"));
  CHECK(all(map_token_file(path.string())).size() == 4);  // as it was
}

TEST_CASE("files of others: what their metadata do not say, the largest token does; what is no token is refused") {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& content) {
    const std::string path = folder.write("x.safetensors", content).string();
    return error_of([&] { map_token_file(path); });
  };
  const Ids ids{3, 70000, 2};
  const SafetensorsEntry entry{"tokens", DType::i32, {3}, 0, 12};
  const std::string plain = folder.write("plain.safetensors", tensor_file(entry, {}, bytes_of(ids))).string();
  CHECK(map_token_file(plain).vocab_size() == 70001);
  CHECK(map_token_file(plain).end_of_document() == -1);
  CHECK(all(map_token_file(plain)) == ids);
  const std::string lies =
      folder.write("lies.safetensors", tensor_file(entry, {{"vocab_size", "70000"}}, bytes_of(ids))).string();
  const MappedTokens tokens = map_token_file(lies);
  CHECK(mentions(error_of([&] { all(tokens); }), lies + ": token 1 is 70000, but its vocabulary has 70000 tokens"));
  CHECK(mentions(refusal(tensor_file(entry, {}, bytes_of({3, -1, 2}))), "token 1 is -1"));
  CHECK(mentions(refusal(tensor_file({"ids", DType::i32, {3}, 0, 12}, {}, bytes_of(ids))), "is no file of tokens"));
  CHECK(mentions(refusal(tensor_file({"tokens", DType::f32, {3}, 0, 12}, {}, bytes_of(ids))), "is no file of tokens"));
  CHECK(
      mentions(refusal(tensor_file({"tokens", DType::i32, {1, 3}, 0, 12}, {}, bytes_of(ids))), "is no file of tokens"));
  CHECK(mentions(refusal(tensor_file({"tokens", DType::i32, {0}, 0, 0}, {}, "")), "is no file of tokens"));
  CHECK(mentions(refusal("text"), "too few for a safetensors file"));
  CHECK(mentions(error_of([&] { map_token_file((folder.path() / "none").string()); }), "none: can't be opened"));
}

TEST_CASE("tokenize gives a file of tokens, and the text back") {
  const TemporaryFolder folder;
  TokenizeConfig c;
  CHECK(mentions(error_of([&] { tokenize(c); }), "needs --input"));
  c.tokenizer = folder.write("tokenizer.json", small).string();
  c.input = folder.write("text", "abba<s>ab").string();
  c.output = (folder.path() / "out.safetensors").string();
  CHECK(tokenize(c) == c.output + ": 5 tokens of 9 bytes");
  const MappedTokens tokens = map_token_file(c.output);
  CHECK(all(tokens) == Ids{2, 1, 0, 3, 2});
  CHECK(tokens.vocab_size() == 5);
  CHECK(tokens.end_of_document() == 4);
  TokenizeConfig back = c;
  back.decode = true;
  back.input = c.output, back.output = (folder.path() / "back").string();
  tokenize(back);
  std::ifstream in(back.output, std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "abba<s>ab");
  c.input = folder.write("text", "abc").string();
  CHECK(mentions(error_of([&] { tokenize(c); }), "no token for the character byte 63"));
  c.tokenizer.clear();
  tokenize(c);
  CHECK(all(map_token_file(c.output)) == Ids{'a', 'b', 'c'});
  back.tokenizer = (folder.path() / "tokenizer.json").string();
  CHECK(mentions(error_of([&] { tokenize(back); }), "its vocabulary has 257 tokens, and the tokenizer's 5"));
}

TEST_CASE("a text's tokens are written once, documents apart, and mapped by every rank") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "texts");
  folder.write("texts/1", "ab");
  folder.write("texts/2", "bbab");
  folder.write("tokenizer.json", small);
  Config c;
  c.job.dump_folder = (folder.path() / "run").string();
  c.training.dataset_path = (folder.path() / "texts").string();
  c.training.tokenizer = folder.path().string();
  c.training.seq_len = 2;
  const auto row = [](const TokenSource& source, std::int64_t i) {
    Ids out(3);
    source.read(i, out);
    return out;
  };
  std::atomic<int> right = 0;
  LocalWorld::run(3, [&](Communicator world) {
    const RunData data = open_data(c, 5, world);
    std::vector<Ids> rows{row(*data.train, 0), row(*data.train, 1)};
    std::sort(rows.begin(), rows.end());
    right += rows == std::vector<Ids>{{1, 1, 2}, {2, 4, 1}} && data.train->end_of_document() == 4 && !data.text;
  });
  CHECK(right == 3);
  const auto made = std::filesystem::path(c.job.dump_folder) / "tokens";
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(made), std::filesystem::directory_iterator());
  };
  CHECK(files() == 1);
  const std::string cached =
      cached_token_file(c.job.dump_folder, c.training.dataset_path, c.training.tokenizer).string();
  const auto written = std::filesystem::last_write_time(cached);
  open_data(c, 5);
  CHECK(std::filesystem::last_write_time(cached) == written);
  CHECK(all(map_token_file(cached)) == Ids{2, 4, 1, 1, 2, 4});
  folder.write("texts/2", "bbabb");  // another text
  open_data(c, 5);
  CHECK(files() == 2);

  CHECK(mentions(error_of([&] { open_data(c, 4); }),
                 "has a vocabulary of 5 tokens, which does not fit into the 4 of the model's flavor"));
  c.training.dataset_path = cached;
  c.validation.enable = true;
  c.validation.held_out_fraction = 0.5;
  const RunData half = open_data(c, 5);
  CHECK(all(*half.held_out) == Ids{1, 2, 4});
  CHECK(held_out_bytes_per_token(half, 2) == 1);  // "ab", and the end of a document
  c.training.tokenizer.clear();
  CHECK(!open_data(c, 5).tokenizer);
  CHECK(mentions(error_of([&] { open_data(c, 4); }), "which does not fit"));
}

TEST_CASE("where the tokens can't be written every rank says so") {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", small);
  Config c;
  c.job.dump_folder = folder.write("run", "a file").string();
  c.training.dataset_path = folder.write("text", "abab").string();
  c.training.tokenizer = folder.path().string();
  std::atomic<int> said = 0;
  LocalWorld::run(2, [&](Communicator world) { said += !error_of([&] { open_data(c, 5, world); }).empty(); });
  CHECK(said == 2);
}
