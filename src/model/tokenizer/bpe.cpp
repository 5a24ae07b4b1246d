#include "model/tokenizer/bpe.h"

#include "model/archive/error.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/text.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace nib::model {
namespace {

// Longer words are rare, so that they need no cache; nor do more words than a text in a human language has.
constexpr size_t kMaxCachedBytes = 256;
constexpr size_t kMaxCachedWords = 1 << 17;
// Up to here scanning all pairs is faster than a heap.
constexpr size_t kShortWord = 32;

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, BpeOptions options) : vocabulary_(vocabulary), options_(std::move(options)) {
  for (uint32_t byte = 0; byte < 256; ++byte) bytes_[byte] = vocabulary.find(byteToken(uint8_t(byte)));
}

bool Bpe::addMerge(std::string_view left, std::string_view right) {
  const std::string_view tail = right.substr(std::min(options_.prefix.size(), right.size()));
  const auto l = vocabulary_.find(left), r = vocabulary_.find(right);
  const auto product = vocabulary_.find(std::string(left).append(tail));
  if (!l || !r || !product) return false;
  merges_.set(uint64_t{*l} << 32 | *r, {next_rank_++, *product});
  return true;
}

std::vector<uint32_t> Bpe::symbolsOf(std::string_view word) const {
  std::vector<uint32_t> ids;
  bool unknown = false;
  std::string symbol;
  for (size_t at = 0; at < word.size();) {
    const size_t size = decodeUtf8(word.substr(at)).size;
    const std::string_view character = word.substr(at, size);
    std::string_view text = character;
    if ((at > 0 && !options_.prefix.empty()) || (at + size == word.size() && !options_.suffix.empty())) {
      symbol = (at > 0 ? options_.prefix : "") + std::string(character);
      if (at + size == word.size()) symbol += options_.suffix;
      text = symbol;
    }
    at += size;
    if (const auto id = vocabulary_.find(text)) {
      if (unknown) ids.push_back(*options_.unknown);
      unknown = false;
      ids.push_back(*id);
      continue;
    }
    const auto has = [&](char c) { return bytes_[static_cast<uint8_t>(c)].has_value(); };
    if (options_.byte_fallback && std::all_of(text.begin(), text.end(), has)) {
      for (const char c : text) ids.push_back(*bytes_[static_cast<uint8_t>(c)]);
      continue;
    }
    if (!options_.unknown) {
      throw Error("the tokenizer has no token for " + quoteText(character) + " and none for unknown text");
    }
    if (unknown && !options_.fuse_unknown) ids.push_back(*options_.unknown);
    unknown = true;
  }
  if (unknown) ids.push_back(*options_.unknown);
  return ids;
}

void Bpe::merge(std::vector<uint32_t>& ids) const {
  if (ids.size() <= kShortWord) {
    for (;;) {
      const Merge* best = nullptr;
      size_t best_at = 0;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        const Merge* merge = find(ids[i], ids[i + 1]);
        if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
          best = merge;
          best_at = i;
        }
      }
      if (best == nullptr) return;
      ids[best_at] = best->product;
      ids.erase(ids.begin() + ptrdiff_t(best_at) + 1);
    }
  }
  // The pairs by rank, then from the left. Entries whose symbols have changed since are skipped.
  struct Pair {
    uint32_t rank;
    uint32_t at;
    uint32_t product;
    bool operator<(const Pair& o) const { return std::pair(rank, at) > std::pair(o.rank, o.at); }
  };
  std::vector<Symbol> symbols;
  symbols.reserve(ids.size());
  const auto count = uint32_t(ids.size());
  for (uint32_t i = 0; i < count; ++i) symbols.push_back({ids[i], i == 0 ? kNone : i - 1, i + 1, true});
  symbols.back().next = kNone;
  std::vector<Pair> initial;
  for (uint32_t i = 0; i + 1 < count; ++i) {
    if (const Merge* merge = find(ids[i], ids[i + 1])) initial.push_back({merge->rank, i, merge->product});
  }
  std::priority_queue<Pair> queue(std::less<Pair>(), std::move(initial));
  while (!queue.empty()) {
    const Pair top = queue.top();
    queue.pop();
    Symbol& left = symbols[top.at];
    if (!left.is_used || left.next == kNone) continue;
    Symbol& right = symbols[left.next];
    const Merge* merge = find(left.id, right.id);
    if (merge == nullptr || merge->product != top.product) continue;
    left.id = top.product;
    right.is_used = false;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].before = top.at;
    const auto push = [&](uint32_t at) {
      const uint32_t next = symbols[at].next;
      if (next == kNone) return;
      if (const Merge* m = find(symbols[at].id, symbols[next].id)) queue.push({m->rank, at, m->product});
    };
    if (left.before != kNone) push(left.before);
    push(top.at);
  }
  ids.clear();
  for (uint32_t i = 0; i != kNone; i = symbols[i].next) ids.push_back(symbols[i].id);
}

void Bpe::encode(const std::string& word, Cache& cache, std::vector<uint32_t>& ids) const {
  const bool is_short = word.size() <= kMaxCachedBytes;
  if (is_short) {
    if (const auto found = cache.find(word); found != cache.end()) {
      ids.insert(ids.end(), found->second.begin(), found->second.end());
      return;
    }
  }
  std::vector<uint32_t> result;
  const auto whole = options_.ignore_merges ? vocabulary_.find(word) : std::nullopt;
  if (whole) {
    result.push_back(*whole);
  } else {
    result = symbolsOf(word);
    if (!result.empty()) merge(result);
  }
  ids.insert(ids.end(), result.begin(), result.end());
  if (is_short && cache.size() < kMaxCachedWords) cache.emplace(word, std::move(result));
}

}  // namespace nib::model
