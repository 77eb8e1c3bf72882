// Definitions of hugging_face.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "ashlar/config/json.ipp"
#include "ashlar/data/tokenizers/byte_alphabet.hpp"
#include "ashlar/data/tokenizers/hugging_face.hpp"
#include "ashlar/data/tokenizers/normalizer.ipp"

namespace ashlar::inline v0 {

namespace detail {

/// Reads one tokenizer.json.
class HuggingFaceReader {
 public:
  using Json = nlohmann::json;
  HuggingFaceReader(const Json& root, const std::string& origin) : root_(root), origin_(origin) {}

  BytePairParts run() {
    only(root_, "the file",
         {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
          "decoder", "model"});
    for (const char* key : {"truncation", "padding"})
      if (!get(root_, key).is_null()) refuse(key, "is not supported; write null");
    pre_tokenizer(get(root_, "pre_tokenizer"), "pre_tokenizer");
    normalizer(get(root_, "normalizer"), "normalizer");
    parts_.normalizer = Normalizer(std::move(steps_));
    vocabulary(get(root_, "model"));
    added_tokens(get(root_, "added_tokens"));
    decoder(get(root_, "decoder"), "decoder");
    parts_.model = BytePair(std::move(tokens_), merges_, options_);
    post_processor(get(root_, "post_processor"));
    return std::move(parts_);
  }

  /// The id of an added token; -1: there is none of that name.
  static std::int32_t id_of(const BytePairParts& parts, std::string_view name) {
    for (const AddedToken& token : parts.added)
      if (token.text == name) return token.id;
    return -1;
  }

 private:
  [[noreturn]] void refuse(std::string_view place, std::string_view what) const {
    throw ConfigError(concat(origin_, ": ", place, ": ", what));
  }
  static const Json& get(const Json& object, const char* key) {
    static const Json null;
    const auto found = object.find(key);
    return found == object.end() ? null : *found;
  }
  void only(const Json& object, std::string_view place, std::initializer_list<std::string_view> known) const {
    if (!object.is_object()) refuse(place, concat("expected an object, found ", excerpt(object)));
    for (auto entry = object.begin(); entry != object.end(); ++entry)
      if (std::find(known.begin(), known.end(), entry.key()) == known.end())
        refuse(place, concat("has the field \"", entry.key(), "\", which is not known"));
  }
  std::string text(const Json& object, const char* key, std::string_view place) const {
    const Json& value = get(object, key);
    if (!value.is_string()) refuse(place, concat(key, ": expected a text, found ", excerpt(value)));
    return value.get<std::string>();
  }
  bool flag(const Json& object, const char* key, std::string_view place, bool otherwise) const {
    const Json& value = get(object, key);
    if (!value.is_null() && !value.is_boolean())
      refuse(place, concat(key, ": expected true or false, found ", excerpt(value)));
    return value.is_null() ? otherwise : value.get<bool>();
  }
  /// Ids are places in tables: as many as there are tokens, and a few gaps.
  std::int32_t id(const Json& value, std::string_view place, std::string_view name) const {
    const std::uint64_t most =
        2 * (get(get(root_, "model"), "vocab").size() + get(root_, "added_tokens").size()) + 4096;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
      refuse(place,
             concat("the id of \"", name.substr(0, 60), "\": expected one of 0 to ", most, ", found ", excerpt(value)));
    return value.get<std::int32_t>();
  }
  /// The parts of a Sequence, or the component itself.
  template <class Each>
  void each(const Json& component, const char* list, const std::string& place, Each&& one) const {
    if (component.is_null()) return;
    if (!component.is_object()) refuse(place, concat("expected an object, found ", excerpt(component)));
    const std::string type = text(component, "type", place);
    if (type != "Sequence") return one(component, type, place);
    only(component, place, {"type", list});
    const Json& all = get(component, list);
    if (!all.is_array()) refuse(place, concat(list, ": expected a list, found ", excerpt(all)));
    for (std::size_t i = 0; i < all.size(); ++i) each(all[i], list, concat(place, ".", list, "[", i, "]"), one);
  }
  [[noreturn]] void unknown_type(const std::string& place, const std::string& type, std::string_view known) const {
    refuse(place, concat("type ", type.substr(0, 60), " is not supported; ", known, " are"));
  }
  /// {"String": text} or {"Regex": expression}.
  std::pair<std::string, bool> pattern(const Json& component, const std::string& place) const {
    const Json& value = get(component, "pattern");
    if (!value.is_object() || value.size() != 1)
      refuse(place, concat("pattern: expected {\"Regex\": ...} or {\"String\": ...}"));
    only(value, place + ".pattern", {"String", "Regex"});
    const bool is_regex = value.contains("Regex");
    return {text(value, is_regex ? "Regex" : "String", place + ".pattern"), is_regex};
  }

  void normalizer(const Json& component, const std::string& place) {
    each(component, "normalizers", place, [&](const Json& c, const std::string& type, const std::string& at) {
      using Step = NormalizerStep;
      if (steps_.size() > 30) refuse(at, "more than 30 steps");
      const std::pair<std::string_view, Step::Kind> plain[] = {{"NFC", Step::nfc},
                                                               {"NFD", Step::nfd},
                                                               {"NFKC", Step::nfkc},
                                                               {"NFKD", Step::nfkd},
                                                               {"Lowercase", Step::lowercase}};
      for (const auto& [name, kind] : plain)
        if (type == name) return only(c, at, {"type"}), steps_.push_back({kind});
      if (type == "Prepend") {
        only(c, at, {"type", "prepend"});
        return steps_.push_back({Step::prepend, "", text(c, "prepend", at)});
      }
      if (type != "Replace") unknown_type(at, type, "NFC, NFD, NFKC, NFKD, Lowercase, Replace, Prepend and Sequence");
      only(c, at, {"type", "pattern", "content"});
      auto [from, is_regex] = pattern(c, at);
      if (is_regex || from.empty())
        refuse(at, "Replace is supported for a text, {\"String\": ...}, and not for an expression");
      steps_.push_back({Step::replace, from, text(c, "content", at)});
    });
  }

  void stage(std::string_view expression, PreTokenizerStage::Drops drops, const std::string& place) {
    if (parts_.stages.size() > 30) refuse(place, "more than 30 stages");
    parts_.stages.push_back({Pattern(expression, PatternDialect::oniguruma, concat(origin_, ": ", place)), drops});
  }
  void pre_tokenizer(const Json& component, const std::string& place) {
    options_.byte_level = false;
    each(component, "pretokenizers", place, [&](const Json& c, const std::string& type, const std::string& at) {
      using Stage = PreTokenizerStage;
      if (options_.byte_level) refuse(at, "stands after ByteLevel, which has to be the last");
      if (type == "ByteLevel") {
        only(c, at, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
        options_.byte_level = true;
        parts_.prefix_space = flag(c, "add_prefix_space", at, true);
        if (parts_.prefix_space && !parts_.stages.empty())
          refuse(at, "add_prefix_space after other parts is not supported");
        if (flag(c, "use_regex", at, true))
          stage("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", Stage::nothing,
                at);
      } else if (type == "Split") {
        only(c, at, {"type", "pattern", "behavior", "invert"});
        auto [expression, is_regex] = pattern(c, at);
        if (!is_regex) expression = literal(expression);
        const std::string behavior = text(c, "behavior", at);
        const bool inverted = flag(c, "invert", at, false), removes = behavior == "Removed";
        if (!removes && (behavior != "Isolated" || inverted))
          refuse(at, concat("behavior ", behavior.substr(0, 60), inverted ? " with invert" : "",
                            " is not supported; Isolated and Removed are"));
        stage(expression, removes ? (inverted ? Stage::gaps : Stage::matches) : Stage::nothing, at);
      } else if (type == "Digits") {
        only(c, at, {"type", "individual_digits"});
        stage(flag(c, "individual_digits", at, false) ? "\\p{N}" : "\\p{N}+", Stage::nothing, at);
      } else if (type == "Punctuation") {
        only(c, at, {"type", "behavior"});
        if (get(c, "behavior") != "Isolated") refuse(at, "only behavior Isolated is supported");
        stage("[\\p{P}$+<=>\\^`|~]", Stage::nothing, at);
      } else if (type == "Whitespace" || type == "WhitespaceSplit") {
        only(c, at, {"type"});
        stage(type == "Whitespace" ? "\\w+|[^\\w\\s]+" : "\\S+", Stage::gaps, at);
      } else {
        unknown_type(at, type, "ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit and Sequence");
      }
    });
  }
  static std::string literal(std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
    return out;
  }

  void vocabulary(const Json& model) {
    only(model, "model",
         {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
          "byte_fallback", "ignore_merges", "vocab", "merges"});
    if (get(model, "type") != "BPE" && !get(model, "type").is_null())
      refuse("model", concat("type ", excerpt(get(model, "type")), " is not supported; \"BPE\" is"));
    if (const Json& d = get(model, "dropout"); !d.is_null() && d != 0) refuse("model", "dropout is not supported");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const Json& affix = get(model, key); !affix.is_null() && affix != "")
        refuse("model", concat(key, " is not supported"));
    const Json& vocab = get(model, "vocab");
    if (!vocab.is_object() || vocab.empty()) refuse("model.vocab", "expected an object of ids, with at least one");
    ids_.reserve(vocab.size());
    for (auto entry = vocab.begin(); entry != vocab.end(); ++entry) {
      const std::int32_t n = id(*entry, "model.vocab", entry.key());
      add(n, entry.key(), "model.vocab");
      ids_.emplace(entry.key(), n);
    }
    tokens_.resize(parts_.pieces.size());
    options_.whole_words = flag(model, "ignore_merges", "model", false);
    options_.byte_fallback = flag(model, "byte_fallback", "model", false);
    options_.fuse_unknown = flag(model, "fuse_unk", "model", false);
    for (const auto& [name, n] : ids_) {
      const auto place = static_cast<std::size_t>(n);
      if (!options_.byte_level) {
        tokens_[place] = name;
      } else if (auto bytes = bytes_of_alphabet(name)) {
        // What is not of the alphabet is no bytes' token: only an added token can be that.
        tokens_[place] = parts_.pieces[place] = *bytes;
      }
    }
    if (!get(model, "unk_token").is_null()) {
      const auto found = ids_.find(text(model, "unk_token", "model"));
      if (found == ids_.end()) refuse("model", "unk_token: is not in the vocabulary");
      options_.unknown = found->second;
    }
    merges(get(model, "merges"));
  }
  void add(std::int32_t n, const std::string& name, std::string_view place) {
    const auto at = static_cast<std::size_t>(n);
    if (at >= parts_.pieces.size()) parts_.pieces.resize(at + 1), taken_.resize(at + 1);
    if (taken_[at]) refuse(place, concat("two tokens have the id ", n, "; one is \"", name.substr(0, 60), "\""));
    taken_[at] = true;
    parts_.pieces[at] = name;
  }
  void merges(const Json& list) {
    if (!list.is_array()) refuse("model.merges", concat("expected a list, found ", excerpt(list)));
    std::string left, right;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Json& merge = list[i];
      const auto wrong = [&](std::string_view what) {
        refuse(concat("model.merges[", i, "]"), concat(what, ", found ", excerpt(merge)));
      };
      if (merge.is_string()) {
        const auto& both = merge.get_ref<const std::string&>();
        const std::size_t space = both.find(' ');
        if (space == both.npos || both.find(' ', space + 1) != both.npos) wrong("expected \"left right\"");
        left.assign(both, 0, space), right.assign(both, space + 1);
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        left = merge[0].get_ref<const std::string&>(), right = merge[1].get_ref<const std::string&>();
      } else {
        wrong("expected \"left right\" or [\"left\", \"right\"]");
      }
      const auto l = ids_.find(left), r = ids_.find(right), result = ids_.find(left + right);
      if (l == ids_.end() || r == ids_.end() || result == ids_.end())
        wrong("one of the two, or both together, is not in the vocabulary");
      merges_.push_back({l->second, r->second, result->second, static_cast<std::int32_t>(i)});
    }
  }

  void added_tokens(const Json& list) {
    if (list.is_null()) return;
    if (!list.is_array()) refuse("added_tokens", concat("expected a list, found ", excerpt(list)));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string place = concat("added_tokens[", i, "]");
      only(list[i], place, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      AddedToken token;
      token.text = text(list[i], "content", place);
      token.id = id(get(list[i], "id"), place, token.text);
      token.special = flag(list[i], "special", place, false);
      token.single_word = flag(list[i], "single_word", place, false);
      token.lstrip = flag(list[i], "lstrip", place, false);
      token.rstrip = flag(list[i], "rstrip", place, false);
      token.normalized = flag(list[i], "normalized", place, !token.special);
      if (token.text.empty()) refuse(place, "has no content");
      if (const auto known = ids_.find(token.text); known == ids_.end())
        add(token.id, token.text, place);
      else if (known->second != token.id)
        refuse(place, concat("has the id ", token.id, ", but the vocabulary says ", known->second));
      parts_.pieces[static_cast<std::size_t>(token.id)] = token.text;
      parts_.added.push_back(std::move(token));
    }
  }

  void decoder(const Json& component, const std::string& place) {
    bool bytes = component.is_null();
    each(component, "decoders", place, [&](const Json& c, const std::string& type, const std::string& at) {
      if (type == "ByteLevel") {
        bytes = true;
        if (!options_.byte_level) refuse(at, "ByteLevel decodes what the pre-tokenizer has no ByteLevel for");
      } else if (type == "Replace") {
        only(c, at, {"type", "pattern", "content"});
        auto [from, is_regex] = pattern(c, at);
        if (is_regex) refuse(at, "Replace is supported for a text, {\"String\": ...}, and not for an expression");
        for (std::string& piece : parts_.pieces) piece = replaced(piece, from, text(c, "content", at));
      } else if (type == "Strip") {
        only(c, at, {"type", "content", "start", "stop"});
        if (get(c, "start") != 1 || get(c, "stop") != 0) refuse(at, "Strip is supported with start 1 and stop 0");
        parts_.stripped = text(c, "content", at);
      } else if (type != "ByteFallback" && type != "Fuse") {
        unknown_type(at, type, "ByteLevel, Replace, ByteFallback, Fuse, Strip and Sequence");
      }
    });
    if (options_.byte_level && !bytes) refuse(place, "the pre-tokenizer has ByteLevel, and the decoder has not");
    if (!options_.byte_level && options_.byte_fallback)
      for (const auto& [name, n] : ids_)
        if (name.size() == 6 && name.starts_with("<0x") && name[5] == '>') {
          int byte = 0;
          for (const char c : {name[3], name[4]})
            byte = c >= '0' && c <= '9' ? byte * 16 + c - '0' : c >= 'A' && c <= 'F' ? byte * 16 + c - 'A' + 10 : 4096;
          if (byte < 256) parts_.pieces[static_cast<std::size_t>(n)] = std::string(1, static_cast<char>(byte));
        }
  }

  // It adds tokens around a text, which encode() does not do; but it tells which.
  void post_processor(const Json& component) {
    each(component, "processors", "post_processor", [&](const Json& c, const std::string& type, const std::string&) {
      const Json& single = get(c, "single");
      if (type != "TemplateProcessing" || !single.is_array()) return;
      std::string* side = &first_;
      for (const Json& item : single) {
        if (!item.is_object()) continue;
        if (item.contains("Sequence")) side = &last_;
        const Json& token = get(item, "SpecialToken");
        if (token.is_object() && get(token, "id").is_string() && side->empty()) *side = token["id"].get<std::string>();
      }
    });
    parts_.begin_of_text = id_of(parts_, first_);
    parts_.end_of_text = id_of(parts_, last_);
  }

  const Json& root_;
  const std::string& origin_;
  BytePairParts parts_;
  std::vector<NormalizerStep> steps_;
  std::unordered_map<std::string, std::int32_t> ids_;  // of the vocabulary, as the file spells it
  std::vector<bool> taken_;                            // of each id
  std::vector<std::string> tokens_;
  std::vector<BytePairMerge> merges_;
  BytePairOptions options_;
  std::string first_, last_;
};

}  // namespace detail

ASHLAR_ONCE BytePairParts read_hugging_face(std::string_view json, std::string_view config, const std::string& origin) {
  using detail::HuggingFaceReader;
  const nlohmann::json root = detail::parse_json(json, origin);
  BytePairParts parts = HuggingFaceReader(root, origin).run();
  const nlohmann::json beside =
      config.empty() ? nlohmann::json::object() : detail::parse_json(config, origin + "'s tokenizer_config.json");
  const auto named = [&](const char* key, std::int32_t otherwise, std::initializer_list<std::string_view> common) {
    auto value = beside.is_object() ? beside.value(key, nlohmann::json()) : nlohmann::json();
    if (value.is_object()) value = value.value("content", nlohmann::json());
    if (value.is_string()) otherwise = HuggingFaceReader::id_of(parts, value.get_ref<const std::string&>());
    for (const std::string_view name : common)
      if (otherwise < 0 && !value.is_string()) otherwise = HuggingFaceReader::id_of(parts, name);
    return otherwise;
  };
  parts.begin_of_text = named("bos_token", parts.begin_of_text,
                              {"<|begin_of_text|>", "<\uFF5Cbegin\u2581of\u2581sentence\uFF5C>", "<s>"});
  parts.end_of_text = named("eos_token", parts.end_of_text,
                            {"<|end_of_text|>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", "<|endoftext|>", "</s>"});
  return parts;
}

}  // namespace ashlar::inline v0
