// Definitions of byte_pair_tokenizer.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <exception>

#include "ashlar/data/tokenizers/byte_pair_tokenizer.hpp"
#include "ashlar/data/tokenizers/utf8.hpp"

namespace ashlar::inline v0 {

/// What one thread encodes: some runs, or of one long run what begins at `begin`, up to the first clean place at or
/// after `limit`.
struct BytePairTokenizer::Part {
  std::size_t first = 0, last = 0;  // runs
  std::size_t begin = 0, limit = 0;
  std::vector<std::int32_t> ids = {};
  struct Place {
    std::size_t position, ids;  // how many ids stand before it
  };
  std::vector<Place> clean = {};  // the first of them, and the one where it stopped
  std::exception_ptr error = {};
};

ASHLAR_ONCE BytePairTokenizer::BytePairTokenizer(BytePairParts parts, std::size_t part_bytes)
    : parts_(std::move(parts)), part_bytes_(part_bytes) {
  std::vector<AddedToken> raw, normalized;
  for (AddedToken token : parts_.added) {
    if (token.normalized && !parts_.normalizer.empty()) token.text = parts_.normalizer(token.text);
    (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  raw_ = AddedTokens(std::move(raw));
  normalized_ = AddedTokens(std::move(normalized));
  one_piece_ = parts_.stages.empty();
  for (const PreTokenizerStage& stage : parts_.stages) one_piece_ |= stage.pattern.looks_back();
}

ASHLAR_ONCE std::vector<std::int32_t> BytePairTokenizer::encode(std::string_view text) const {
  std::deque<std::string> made;
  const std::vector<Run> runs = runs_of(text, made);
  std::vector<Part> parts = parts_of(runs);
  ASHLAR_OMP(parallel if (parts.size() > 1)) {
    auto worker = take_worker();
    ASHLAR_OMP(for schedule(dynamic))
    for (std::size_t i = 0; i < parts.size(); ++i) {
      try {
        encode_part(runs, parts[i], *worker);
      } catch (...) {
        parts[i].error = std::current_exception();
      }
    }
    give_worker(std::move(worker));
  }
  for (const Part& part : parts)
    if (part.error) std::rethrow_exception(part.error);
  return parts.size() == 1 ? std::move(parts[0].ids) : joined(runs, parts);
}

// Added tokens are looked for first, in the text as it stands. Bytes that are no UTF-8 are kept from what reads
// characters.
ASHLAR_ONCE std::vector<BytePairTokenizer::Run> BytePairTokenizer::runs_of(std::string_view text,
                                                                           std::deque<std::string>& made) const {
  std::vector<Run> runs;
  const auto plain = [&](std::string_view piece, bool begins) {
    if (!parts_.normalizer.empty()) piece = made.emplace_back(parts_.normalizer(piece, begins));
    normalized_.split(piece, [&](std::int32_t id, std::size_t begin, std::size_t end) {
      std::string_view run = piece.substr(begin, end - begin);
      if (id < 0 && parts_.prefix_space && begins && !run.starts_with(' ')) run = made.emplace_back(" ").append(run);
      runs.push_back({id, run});
      begins = true;
    });
  };
  raw_.split(text, [&](std::int32_t id, std::size_t begin, std::size_t end) {
    if (id >= 0) return runs.push_back({id});
    const std::string_view piece = text.substr(begin, end - begin);
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t good = utf8_until(piece, at);
      if (good > at) plain(piece.substr(at, good - at), at == 0);
      for (at = good; at < piece.size() && utf8_length(piece, at) == 0;) ++at;
      if (at > good) runs.push_back({-1, piece.substr(good, at - good), false});
    }
  });
  return runs;
}

ASHLAR_ONCE std::vector<BytePairTokenizer::Part> BytePairTokenizer::parts_of(const std::vector<Run>& runs) const {
  std::size_t total = 0;
  for (const Run& run : runs) total += run.text.size();
  // Not more: a part may look far ahead for what its first stage searches.
  constexpr std::size_t most_parts = 128;
  const std::size_t size = std::max(part_bytes_, total / most_parts);
  std::vector<Part> parts;
  std::size_t gathered = size;  // bytes of the last part's runs
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const std::string_view text = runs[r].text;
    if (text.size() >= 2 * size && runs[r].is_utf8 && !one_piece_) {
      for (std::size_t begin = 0; begin < text.size();) {
        std::size_t end = std::min(text.size(), begin + size);
        // After the end of a line most patterns cut.
        if (const std::size_t line = text.substr(0, std::min(text.size(), end + 4096)).find('\n', end);
            line != text.npos)
          end = line + 1;
        while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;
        parts.push_back({r, r + 1, begin, end});
        begin = end;
      }
      gathered = size;
      continue;
    }
    if (gathered >= size) {
      parts.push_back({r, r});
      gathered = 0;
    }
    parts.back().last = r + 1;
    gathered += text.size() + 1;
  }
  return parts;
}

/// Encodes text from `begin` on, until stop(place) says so of a clean place. Returns where it stopped.
template <class Stop>
std::size_t BytePairTokenizer::encode_words(std::string_view text, std::size_t begin, std::vector<std::int32_t>& ids,
                                            Worker& worker, Stop&& stop) const {
  std::size_t stopped = text.size();
  worker.pre_tokenizer.cut(text, begin, text.size(), [&](std::size_t from, std::size_t to, bool clean) {
    parts_.model.encode(text.substr(from, to - from), ids, worker.byte_pair);
    if (!clean || !stop(to)) return true;
    stopped = to;
    return false;
  });
  return stopped;
}

ASHLAR_ONCE void BytePairTokenizer::encode_part(const std::vector<Run>& runs, Part& part, Worker& worker) const {
  constexpr std::size_t most_places = 4096;
  if (part.limit > 0) {  // a part of a run
    const std::size_t stopped =
        encode_words(runs[part.first].text, part.begin, part.ids, worker, [&](std::size_t place) {
          if (part.clean.size() < most_places) part.clean.push_back({place, part.ids.size()});
          return place >= part.limit;
        });
    if (part.clean.empty() || part.clean.back().position != stopped) part.clean.push_back({stopped, part.ids.size()});
    return;
  }
  for (std::size_t r = part.first; r < part.last; ++r) {
    if (runs[r].id >= 0)
      part.ids.push_back(runs[r].id);
    else if (runs[r].is_utf8)
      encode_words(runs[r].text, 0, part.ids, worker, [](std::size_t) { return false; });
    else
      parts_.model.encode(runs[r].text, part.ids, worker.byte_pair);
  }
}

// Parts of one run were begun at guesses. Where one part stopped, the next has been cut too, or words are encoded until
// both meet (pre_tokenizer.hpp says why they are alike from there on).
ASHLAR_ONCE std::vector<std::int32_t> BytePairTokenizer::joined(const std::vector<Run>& runs,
                                                                std::vector<Part>& parts) const {
  std::size_t total = 0;
  for (const Part& part : parts) total += part.ids.size();
  std::vector<std::int32_t> ids;
  ids.reserve(total + total / 64);
  std::unique_ptr<Worker> worker;
  std::size_t position = 0;  // in the run that is under way
  for (Part& part : parts) {
    std::size_t known = 0;  // of the part's ids, those before `position`
    const auto meets = [&](std::size_t place) {
      const auto at = std::lower_bound(part.clean.begin(), part.clean.end(), place,
                                       [](const Part::Place& p, std::size_t x) { return p.position < x; });
      if (at == part.clean.end() || at->position != place) return false;
      known = at->ids;
      return true;
    };
    bool met = part.begin == 0 || position == part.begin || meets(position);
    if (!met && position < part.limit) {
      if (!worker) worker = take_worker();
      position = encode_words(runs[part.first].text, position, ids, *worker,
                              [&](std::size_t place) { return (met = meets(place)) || place >= part.limit; });
    }
    if (met) {
      ids.insert(ids.end(), part.ids.begin() + static_cast<std::ptrdiff_t>(known), part.ids.end());
      position = part.clean.empty() ? 0 : part.clean.back().position;
    }
    std::vector<std::int32_t>().swap(part.ids);
  }
  if (worker) give_worker(std::move(worker));
  return ids;
}

ASHLAR_ONCE std::unique_ptr<BytePairTokenizer::Worker> BytePairTokenizer::take_worker() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  return std::make_unique<Worker>(Worker{PreTokenizer(parts_.stages)});
}
ASHLAR_ONCE void BytePairTokenizer::give_worker(std::unique_ptr<Worker> worker) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
}

ASHLAR_ONCE std::string_view BytePairTokenizer::bytes_of(std::int32_t id) const {
  if (id < 0 || id >= vocab_size())
    fail(concat("id ", id, " is no token of this tokenizer, whose ids are below ", vocab_size()));
  return parts_.pieces[static_cast<std::size_t>(id)];
}

ASHLAR_ONCE std::string BytePairTokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string out = Tokenizer::decode(ids);
  return !parts_.stripped.empty() && out.starts_with(parts_.stripped) ? out.substr(parts_.stripped.size()) : out;
}

ASHLAR_ONCE std::vector<SpecialToken> BytePairTokenizer::special_tokens() const {
  std::vector<SpecialToken> out;
  for (const AddedToken& token : parts_.added)
    if (token.special) out.push_back({token.id, token.text});
  return out;
}

}  // namespace ashlar::inline v0
