#include "ashlar/data/tokenizers/hugging_face.hpp"

#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"
#include "data/tokenizers/fixtures.hpp"

using namespace ashlar;

namespace {

// A small file, with one text replaced by another.
std::string file(const std::string& from = "", const std::string& to = "") {
  std::string text = R"({"version": "1.0", "truncation": null, "padding": null,
 "added_tokens": [{"id": 4, "content": "<s>", "special": true}, {"id": 9, "content": "</s>", "special": true}],
 "normalizer": null,
 "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": "\\w+|\\W+"}, "behavior": "Isolated", "invert": false},
  {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
 "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A"}}]},
 "decoder": {"type": "ByteLevel"},
 "model": {"type": "BPE", "unk_token": null, "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": [["a", "b"]]}})";
  if (from.empty()) return text;
  const std::size_t at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}
BytePairTokenizer read(const std::string& text, const std::string& config = "") {
  return BytePairTokenizer(read_hugging_face(text, config, "t.json"));
}
std::string refusal(const std::string& from, const std::string& to) {
  return error_of([&] { read(file(from, to)); });
}
using Ids = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("merges are read in both notations") {
  CHECK(read(file()).encode("ab b<s>") == Ids{2, 3, 1, 4});
  CHECK(read(file("[\"a\", \"b\"]", "\"a b\"")).encode("ab b<s>") == Ids{2, 3, 1, 4});
}

TEST_CASE("what begins and ends a text is said beside it, by the template, or by common names") {
  const auto plain = read(file());
  CHECK(plain.begin_of_text() == 4);
  CHECK(plain.end_of_text() == 9);
  CHECK(plain.vocab_size() == 10);
  CHECK(plain.bytes_of(9) == "</s>");
  CHECK(plain.bytes_of(7).empty());  // a gap
  const auto beside = read(file(), R"({"bos_token": {"content": "</s>"}, "eos_token": "<s>"})");
  CHECK(beside.begin_of_text() == 9);
  CHECK(beside.end_of_text() == 4);
  CHECK(read(file(), R"({"bos_token": "none"})").begin_of_text() == -1);
  CHECK(read(file("\"<s>\", \"type_id\"", "\"x\", \"type_id\"")).begin_of_text() == 4);
  REQUIRE(plain.special_tokens().size() == 2);
  CHECK(plain.special_tokens()[1].text == "</s>");
}

TEST_CASE("a space before a text is put before what stands between tokens, too") {
  const auto t = read(file(R"({"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": "\\w+|\\W+"}, "behavior": "Isolated", "invert": false},
  {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})",
                           R"({"type": "ByteLevel", "add_prefix_space": true})"));
  CHECK(t.encode("a<s>b") == Ids{3, 0, 4, 3, 1});
  CHECK(t.encode(" a<s> b") == Ids{3, 0, 4, 3, 1});
  CHECK(t.encode("<s>") == Ids{4});
  CHECK(t.encode("").empty());
}

TEST_CASE("JSON that is broken is refused with its line") {
  CHECK(mentions(refusal("\"normalizer\": null,", "\"normalizer\": nul,"), "t.json: not JSON: "));
  CHECK(mentions(refusal("\"normalizer\": null,", "\"normalizer\": nul,"), "line 3"));
  CHECK(mentions(refusal("\"a\": 0, ", "\"a\": 0, \"a\": 0, "), "stands twice in one object"));
  CHECK(mentions(error_of([] { read(""); }), "t.json: not JSON"));
}

TEST_CASE("what is not supported is refused by name") {
  const auto refuses = [](const std::string& from, const std::string& to, const std::string& message) {
    INFO(from << " -> " << to);
    const std::string error = refusal(from, to);
    INFO(error);
    CHECK(error.starts_with("t.json: "));
    CHECK(mentions(error, message));
  };
  refuses("\"truncation\": null", "\"truncation\": {\"max_length\": 5}", "truncation: is not supported");
  refuses("\"padding\": null", "\"padding\": {}", "padding: is not supported");
  refuses("\"version\"", "\"versions\"", "the file: has the field \"versions\", which is not known");
  refuses("\"normalizer\": null", "\"normalizer\": {\"type\": \"Strip\"}",
          "normalizer: type Strip is not supported; NFC, NFD");
  refuses("\"normalizer\": null",
          "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Nmt\"}]}",
          "normalizer.normalizers[1]: type Nmt");
  refuses("\"normalizer\": null",
          "\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"a\"}, \"content\": \"\"}",
          "Replace is supported for a text");
  refuses("\"Split\"", "\"Metaspace\"", "pre_tokenizer.pretokenizers[0]: type Metaspace is not supported");
  refuses("\"Isolated\"", "\"MergedWithNext\"", "behavior MergedWithNext is not supported");
  refuses("\"invert\": false", "\"invert\": true", "behavior Isolated with invert");
  refuses("\\\\w+|\\\\W+", "\\\\b", "pre_tokenizer.pretokenizers[0]: the regular expression has \"\\b\"");
  refuses("\"add_prefix_space\": false", "\"add_prefix_space\": true", "add_prefix_space after other parts");
  refuses("\"use_regex\": false}", "\"use_regex\": false}, {\"type\": \"Digits\"}", "stands after ByteLevel");
  refuses("\"use_regex\": false", "\"use_regex\": 0", "use_regex: expected true or false, found 0");
  refuses("\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"WordPiece\"}",
          "decoder: type WordPiece");
  refuses("\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Fuse\"}",
          "the pre-tokenizer has ByteLevel, and the decoder has not");
  refuses("\"BPE\"", "\"Unigram\"", "model: type \"Unigram\" is not supported; \"BPE\" is");
  refuses("\"unk_token\": null", "\"dropout\": 0.1", "model: dropout is not supported");
  refuses("\"unk_token\": null", "\"end_of_word_suffix\": \"</w>\"", "end_of_word_suffix is not supported");
  refuses("\"unk_token\": null", "\"unk_token\": \"c\"", "unk_token: is not in the vocabulary");
  refuses("\"a\": 0", "\"a\": -1", "the id of \"a\": expected one of 0 to ");
  refuses("\"a\": 0", "\"a\": 2000000000", "the id of \"a\": expected one of 0 to 4108");
  refuses("\"a\": 0", "\"a\": 1", "model.vocab: two tokens have the id 1");
  refuses("[[\"a\", \"b\"]]", "[[\"a\", \"c\"]]",
          "model.merges[0]: one of the two, or both together, is not in the vocabulary");
  refuses("[[\"a\", \"b\"]]", "[\"a b\", \"ab\"]", "model.merges[1]: expected \"left right\"");
  refuses("[[\"a\", \"b\"]]", "[[\"a\"]]", "model.merges[0]: expected \"left right\" or");
  refuses("\"id\": 9", "\"id\": 4", "added_tokens[1]: two tokens have the id 4");
  refuses("\"content\": \"<s>\"", "\"content\": \"a\"", "added_tokens[0]: has the id 4, but the vocabulary says 0");
  refuses("\"content\": \"<s>\"", "\"content\": \"\"", "added_tokens[0]: has no content");
}

TEST_CASE("a tokenizer is found in a file or a folder") {
  const TemporaryFolder folder;
  const std::string json = folder.write("tokenizer.json", file()).string();
  folder.write("tokenizer_config.json", R"({"eos_token": "<s>"})");
  CHECK(open_tokenizer(folder.path().string())->end_of_text() == 4);
  CHECK(open_tokenizer(json)->encode("ab") == Ids{2});
  CHECK(open_tokenizer("")->encode("ab") == Ids{'a', 'b'});
  std::filesystem::remove(json);
  CHECK(
      mentions(error_of([&] { open_tokenizer(folder.path().string()); }), "has no tokenizer.json, no tokenizer.model"));
  CHECK(mentions(error_of([&] { open_tokenizer(json); }), json + ": no tokenizer is there"));
  const std::string ranks = folder.write("x.tiktoken", "YQ== 0\n").string();
  CHECK(mentions(error_of([&] { open_tokenizer(folder.path().string()); }),
                 "write its regular expression into " + ranks + ".pattern"));
  folder.write("x.tiktoken.pattern", "a\n");
  CHECK(open_tokenizer(folder.path().string())->encode("aa") == Ids{0, 0});
  folder.write("y.tiktoken", "YQ== 0\n");
  CHECK(mentions(error_of([&] { open_tokenizer(folder.path().string()); }), "has several tiktoken files"));
}
