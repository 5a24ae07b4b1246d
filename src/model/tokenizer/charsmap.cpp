#include "model/tokenizer/charsmap.h"

#include "model/archive/error.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/text.h"

#include <utf8proc.h>

namespace nib::model {
namespace {

// A unit of the double array.
uint32_t labelOf(uint32_t unit) { return unit & 0x800000ff; }
uint32_t offsetOf(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }
bool hasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t valueOf(uint32_t unit) { return unit & 0x7fffffff; }

}  // namespace

CharsMap::CharsMap(std::string_view blob, const std::string& where) {
  const auto refuse = [&](const char* problem) { throw Error(where + ": its table of characters " + problem); };
  const auto byte = [&](size_t i) { return uint32_t(static_cast<unsigned char>(blob[i])); };
  const auto word = [&](size_t i) { return byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24; };
  if (blob.size() < 4) refuse("is too short");
  const uint64_t trie_bytes = word(0);
  if (trie_bytes > blob.size() - 4 || trie_bytes % 1024 != 0 || trie_bytes == 0) refuse("has a bad size");
  for (size_t at = 4; at < 4 + trie_bytes; at += 4) units_.push_back(word(at));
  texts_ = blob.substr(4 + trie_bytes);
  if (findInvalidUtf8(texts_) != std::string::npos) refuse("is not UTF-8");
  if (texts_.empty() || texts_.back() != '\0') refuse("ends within a text");

  // Blocks of 256 units: the children of a unit are in one block.
  std::vector<bool> seen(units_.size());
  std::vector<uint32_t> open{0};
  seen[0] = true;
  while (!open.empty()) {
    const uint32_t at = open.back();
    open.pop_back();
    const uint32_t base = at ^ offsetOf(units_[at]);
    if (base >= units_.size()) refuse("leads beyond its end");
    if (at != 0 && hasLeaf(units_[at])) {
      const uint32_t value = valueOf(units_[base]);
      if (value >= texts_.size()) refuse("leads beyond its texts");
      if ((static_cast<unsigned char>(texts_[value]) & 0xc0) == 0x80) refuse("leads into a character");
    }
    for (uint32_t label = 1; label < 256; ++label) {
      const uint32_t child = base ^ label;
      if (labelOf(units_[child]) != label || seen[child]) continue;
      seen[child] = true;
      open.push_back(child);
    }
  }
}

bool CharsMap::find(std::string_view text, std::string_view& to) const {
  uint32_t at = offsetOf(units_[0]);
  for (const char c : text) {
    const auto label = static_cast<unsigned char>(c);
    if (label == 0) return false;
    at ^= label;
    const uint32_t unit = units_[at];
    if (labelOf(unit) != label) return false;
    at ^= offsetOf(unit);
    if (!hasLeaf(unit)) continue;
    const std::string_view rest = std::string_view(texts_).substr(valueOf(units_[at]));
    to = rest.substr(0, rest.find('\0'));
    return true;
  }
  return false;
}

std::string CharsMap::normalize(std::string_view text) const {
  std::string out;
  std::string_view to;
  for (size_t at = 0; at < text.size();) {
    // The grapheme cluster that begins here.
    Utf8Char c = decodeUtf8(text.substr(at));
    size_t end = at + c.size;
    utf8proc_int32_t state = 0;
    while (end < text.size()) {
      const Utf8Char next = decodeUtf8(text.substr(end));
      if (utf8proc_grapheme_break_stateful(utf8proc_int32_t(c.code), utf8proc_int32_t(next.code), &state) != 0) break;
      end += next.size;
      c = next;
    }
    if (end - at < 6 && find(text.substr(at, end - at), to)) {
      out += to;
      at = end;
      continue;
    }
    for (; at < end;) {
      const std::string_view one = text.substr(at, decodeUtf8(text.substr(at)).size);
      out += find(one, to) ? to : one;
      at += one.size();
    }
  }
  return out;
}

}  // namespace nib::model
