// Definitions of byte_pair.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>

#include "ashlar/data/tokenizers/byte_pair.hpp"
#include "ashlar/data/tokenizers/utf8.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE BytePair::BytePair(std::vector<std::string> tokens, const std::vector<BytePairMerge>& merges,
                               BytePairOptions options)
    : tokens_(std::move(tokens)), options_(options) {
  for (std::size_t id = 0; id < tokens_.size(); ++id)
    if (!tokens_[id].empty()) ids_.emplace(tokens_[id], static_cast<std::int32_t>(id));
  for (std::size_t b = 0; b < 256; ++b) {
    constexpr char hex[] = "0123456789ABCDEF";
    const char byte = static_cast<char>(b), fallback[] = {'<', '0', 'x', hex[b / 16], hex[b % 16], '>'};
    const auto found = options.byte_level      ? ids_.find(std::string_view(&byte, 1))
                       : options.byte_fallback ? ids_.find(std::string_view(fallback, sizeof fallback))
                                               : ids_.end();
    bytes_[b] = found == ids_.end() ? -1 : found->second;
  }
  std::size_t size = 16;
  while (size < 2 * merges.size()) size *= 2;
  pairs_.resize(size);
  for (const BytePairMerge& m : merges) slot(key_of(m.left, m.right)) = {key_of(m.left, m.right), m.rank, m.result};
}

ASHLAR_ONCE void BytePair::encode(std::string_view word, std::vector<std::int32_t>& ids, Worker& worker) const {
  using Known = Worker::Known;
  if (word.size() > sizeof Known::word) return encode_anew(word, ids, worker);
  char key[32] = {};
  std::memcpy(key, word.data(), word.size());
  std::uint64_t part[4], hash = word.size();
  std::memcpy(part, key, sizeof part);
  for (const std::uint64_t p : part) hash = mixed(hash ^ p);
  Known& known = worker.known_[hash & (worker.known_.size() - 1)];
  if (known.length != word.size() || std::memcmp(known.word, key, sizeof known.word) != 0) {
    const std::size_t before = ids.size();
    encode_anew(word, ids, worker);
    const std::size_t count = ids.size() - before;
    if (count > std::size(known.ids)) return;
    known.length = static_cast<std::uint8_t>(word.size());
    known.count = static_cast<std::uint8_t>(count);
    std::memcpy(known.word, key, sizeof known.word);
    std::copy(ids.end() - static_cast<std::ptrdiff_t>(count), ids.end(), known.ids);
    return;
  }
  ids.insert(ids.end(), known.ids, known.ids + known.count);
}

ASHLAR_ONCE void BytePair::encode_anew(std::string_view word, std::vector<std::int32_t>& ids, Worker& worker) const {
  if (options_.whole_words)
    if (const auto whole = ids_.find(word); whole != ids_.end()) return ids.push_back(whole->second);
  begin(word, worker);
  merge(worker);
  for (const Worker::Symbol& s : worker.symbols_)
    if (s.id >= 0) ids.push_back(s.id);
}

// The word as tokens of single characters or bytes.
ASHLAR_ONCE void BytePair::begin(std::string_view word, Worker& worker) const {
  check(word.size() < std::size_t{1} << 31, "a word of 2 GiB and more can't be encoded");
  auto& symbols = worker.symbols_;
  symbols.clear();
  const auto push = [&](std::int32_t id) {
    const auto place = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, place - 1, place + 1});
  };
  bool unknown_before = false;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t n = options_.byte_level ? 1 : std::max<std::size_t>(utf8_length(word, at), 1);
    const std::string_view character = word.substr(at, n);
    const auto byte_id = [&](char c) { return bytes_[static_cast<unsigned char>(c)]; };
    at += n;
    const auto found = options_.byte_level ? ids_.end() : ids_.find(character);
    const bool is_unknown =
        found == ids_.end() && std::any_of(character.begin(), character.end(), [&](char c) { return byte_id(c) < 0; });
    if (is_unknown && options_.unknown < 0) {
      std::string hex;
      for (const char c : character)
        for (const int digit : {c >> 4 & 15, c & 15}) hex += "0123456789ABCDEF"[digit];
      fail(concat("the tokenizer has no token for the character ", n > 1 ? character : "", n > 1 ? " (" : "", "byte ",
                  hex, n > 1 ? ")" : "", ", and none for what is unknown"));
    }
    if (found != ids_.end()) {
      push(found->second);
    } else if (!is_unknown) {
      for (const char c : character) push(byte_id(c));
    } else if (!(unknown_before && options_.fuse_unknown)) {
      push(options_.unknown);
    }
    unknown_before = is_unknown;
  }
  if (!symbols.empty()) symbols.back().after = -1;
}

ASHLAR_ONCE void BytePair::merge(Worker& worker) const {
  auto& symbols = worker.symbols_;
  auto& heap = worker.heap_;
  heap.clear();
  const auto candidate = [&](std::int32_t place) {  // of the symbol there and the one after it
    const Worker::Symbol& s = symbols[static_cast<std::size_t>(place)];
    if (s.after < 0) return false;
    const Pair& pair = find(s.id, symbols[static_cast<std::size_t>(s.after)].id);
    if (pair.rank >= 0) heap.push_back({pair.rank, place, pair.result});
    return pair.rank >= 0;
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) candidate(static_cast<std::int32_t>(i));
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Worker::Candidate top = heap.back();
    heap.pop_back();
    Worker::Symbol& left = symbols[static_cast<std::size_t>(top.place)];
    if (left.id < 0 || left.after < 0) continue;  // merged away since
    Worker::Symbol& right = symbols[static_cast<std::size_t>(left.after)];
    if (const Pair& now = find(left.id, right.id); now.rank < 0 || now.result != top.result) continue;  // others there
    left.id = top.result;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) symbols[static_cast<std::size_t>(left.after)].before = top.place;
    if (candidate(top.place)) std::push_heap(heap.begin(), heap.end());
    if (left.before >= 0 && candidate(left.before)) std::push_heap(heap.begin(), heap.end());
  }
}

}  // namespace ashlar::inline v0
