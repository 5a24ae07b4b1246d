#include "model/tokenizer/text.h"

#include "model/archive/utf8.h"

#include <algorithm>
#include <array>

namespace nib::model {
namespace {

struct ByteTable {
  std::array<std::string, 256> characters;
  std::array<int16_t, 0x180> bytes{};

  ByteTable() {
    bytes.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      const uint32_t code = printable ? byte : next++;
      appendCode(characters[byte], code);
      bytes[code] = int16_t(byte);
    }
  }
};

const ByteTable& byteTable() {
  static const ByteTable table;
  return table;
}

// The length of the longest beginning of `bytes`, which begin with an invalid character, that could begin a valid one.
// At least 1.
size_t brokenLength(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const uint32_t first = byte(0);
  const size_t size = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 ? 2 : 1;
  if (first > 0xf4) return 1;
  size_t length = 1;
  for (; length < size && length < bytes.size(); ++length) {
    uint32_t least = 0x80, most = 0xbf;
    if (length == 1) {
      if (first == 0xe0) least = 0xa0;
      if (first == 0xed) most = 0x9f;
      if (first == 0xf0) least = 0x90;
      if (first == 0xf4) most = 0x8f;
    }
    if (byte(length) < least || byte(length) > most) break;
  }
  return length;
}

// Whether a beginning of a character, as found by brokenLength, lacks only bytes.
bool isCutShort(std::string_view bytes, size_t length) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  return length == bytes.size() && first >= 0xc2 && first <= 0xf4;
}

}  // namespace

size_t appendUtf8(std::string& out, std::string_view bytes, bool more) {
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t run = std::min(findInvalidUtf8(bytes.substr(at)), bytes.size() - at);
    out += bytes.substr(at, run);
    at += run;
    if (at == bytes.size()) break;
    const std::string_view rest = bytes.substr(at);
    const size_t length = brokenLength(rest);
    if (more && isCutShort(rest, length)) break;
    out += kReplacement;
    at += length;
  }
  return at;
}

std::string validUtf8(std::string_view bytes) {
  std::string out;
  appendUtf8(out, bytes);
  return out;
}

void appendCode(std::string& out, uint32_t code) {
  char bytes[4];
  out.append(bytes, encodeUtf8(code, bytes));
}

std::string_view byteCharacter(uint8_t byte) { return byteTable().characters[byte]; }

std::optional<uint8_t> byteOfCharacter(uint32_t code) {
  const auto& bytes = byteTable().bytes;
  if (code >= bytes.size() || bytes[code] < 0) return std::nullopt;
  return uint8_t(bytes[code]);
}

std::string byteToken(uint8_t byte) {
  static const char kDigits[] = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + '>';
}

std::optional<uint8_t> byteOfToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  uint32_t value = 0;
  for (const char c : token.substr(3, 2)) {
    const uint32_t digit = c >= '0' && c <= '9'   ? uint32_t(c - '0')
                           : c >= 'a' && c <= 'f' ? uint32_t(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? uint32_t(c - 'A' + 10)
                                                  : 16;
    if (digit == 16) return std::nullopt;
    value = value << 4 | digit;
  }
  return uint8_t(value);
}

bool isAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool isSpace(uint32_t code) {
  return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xa0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
         code == 0x3000;
}

size_t spaceAtStart(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Char c = decodeUtf8(text.substr(at));
    if (c.size == 0 || !isSpace(c.code)) break;
    at += c.size;
  }
  return at;
}

size_t spaceAtEnd(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
    const Utf8Char c = decodeUtf8(text.substr(begin, end - begin));
    if (c.size == 0 || !isSpace(c.code)) break;
    end = begin;
  }
  return text.size() - end;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const size_t found = text.find(from);
    out += text.substr(0, found);
    if (found == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(found + from.size());
  }
}

}  // namespace nib::model
