// The small tokenizers of tests/goldens/tokenizers.py, its corpus, and what other packages make of it.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ashlar/data/tokenizers/hugging_face.hpp"
#include "ashlar/data/tokenizers/open.hpp"
#include "ashlar/data/tokenizers/tiktoken.hpp"

namespace ashlar::inline v0 {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(__FILE__).parent_path() / "../../goldens/tokenizers" / name;
}
inline std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The tokenizer of a fixture, which cuts texts into parts of `part_bytes` for threads.
inline std::unique_ptr<const Tokenizer> open_fixture(const std::string& name, std::size_t part_bytes = 1 << 16) {
  const std::string text = content(fixture(name)), path = fixture(name).string();
  if (name.ends_with(".json"))
    return std::make_unique<BytePairTokenizer>(read_hugging_face(text, "", path), part_bytes);
  std::string pattern = content(path + ".pattern");
  pattern.pop_back();
  return std::make_unique<BytePairTokenizer>(read_tiktoken(text, pattern, path), part_bytes);
}

struct Corpus {
  std::vector<std::string> texts;
  std::map<std::string, std::vector<std::vector<std::int32_t>>> ids;  // by fixture, of each text
  std::string joined() const {
    std::string out;
    for (const std::string& text : texts) out += text;
    return out;
  }
};
inline const Corpus& corpus() {
  static const Corpus made = [] {
    const auto json = nlohmann::json::parse(content(fixture("corpus.json")));
    return Corpus{json["texts"], json["ids"]};
  }();
  return made;
}
/// Those that change no text: decode(encode(x)) == x for all bytes.
inline const std::vector<std::string> lossless = {"gpt2.json", "llama3.json", "deepseek.json", "llama4.json",
                                                  "ranks.tiktoken"};

}  // namespace ashlar::inline v0
