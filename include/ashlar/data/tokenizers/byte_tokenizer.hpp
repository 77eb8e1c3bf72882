// Bytes as tokens: ids 0 to 255, and 256 at the end of a text. The default of every run. Read next: data/text.hpp.
#pragma once

#include <array>

#include "ashlar/data/text.hpp"
#include "ashlar/data/tokenizers/tokenizer.hpp"

namespace ashlar::inline v0 {

class ByteTokenizer final : public Tokenizer {
 public:
  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) ids[i] = static_cast<unsigned char>(text[i]);
    return ids;
  }
  std::string_view bytes_of(std::int32_t id) const override {
    static constexpr auto bytes = [] {
      std::array<char, 256> all{};
      for (int i = 0; i < 256; ++i) all[static_cast<std::size_t>(i)] = static_cast<char>(i);
      return all;
    }();
    if (id < 0 || id >= Text::num_tokens) fail(concat("id ", id, " is no byte and no end of a text"));
    return id == Text::end_token ? std::string_view() : std::string_view(&bytes[static_cast<std::size_t>(id)], 1);
  }
  index_t vocab_size() const override { return Text::num_tokens; }
  std::int32_t end_of_text() const override { return Text::end_token; }
};

}  // namespace ashlar::inline v0
