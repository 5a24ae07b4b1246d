#include "model/archive/json_scanner.h"

#include "model/archive/error.h"
#include "model/archive/utf8.h"

#include <utility>

namespace nib::model {
namespace {

constexpr uint32_t kMaxDepth = 64;

bool isDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

JsonScanner::JsonScanner(std::span<char> text, std::string where, std::string what)
    : text_(text), where_(std::move(where)), what_(std::move(what)) {
  const size_t invalid = findInvalidUtf8({text.data(), text.size()});
  if (invalid == std::string_view::npos) return;
  at_ = invalid;
  fail("not UTF-8");
}

void JsonScanner::fail(const std::string& problem) const {
  const std::string about = kind_ == nullptr ? "" : std::string(kind_) + ' ' + quoteText(name_) + ": ";
  throw Error(where_ + ": byte " + std::to_string(at_) + " of " + what_ + ": " + about + problem);
}

void JsonScanner::skipSpace() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
    ++at_;
}

char JsonScanner::peek() {
  skipSpace();
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonScanner::take(char c) {
  if (peek() != c || at_ == text_.size()) return false;
  ++at_;
  return true;
}

void JsonScanner::expect(char c, const char* after) {
  if (!take(c)) fail(std::string("expected '") + c + "' after " + after);
}

std::string_view JsonScanner::string(const char* what) {
  if (!take('"')) fail(std::string("expected a string: ") + what);
  const size_t begin = at_;
  size_t to = at_;
  for (;;) {
    if (at_ == text_.size()) fail(std::string("the text ends within a string: ") + what);
    const char c = text_[at_];
    if (c == '"') break;
    if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
    if (c == '\\') {
      escape(to);
    } else {
      text_[to++] = c;
      ++at_;
    }
  }
  ++at_;
  return {text_.data() + begin, to - begin};
}

// An escape of 6 characters decodes to at most 3 bytes, a surrogate pair of 12 to 4, so `to` never passes at_.
void JsonScanner::escape(size_t& to) {
  static constexpr std::string_view kLetters = "\"\\/bfnrt";
  static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  ++at_;
  if (at_ == text_.size()) fail("the text ends within an escape");
  const char letter = text_[at_++];
  if (const size_t found = kLetters.find(letter); found != std::string_view::npos) {
    text_[to++] = kMeanings[found];
    return;
  }
  if (letter != 'u') fail("an unknown escape in a string");
  uint32_t code = hex4();
  if (code >= 0xd800 && code < 0xdc00) {
    if (at_ + 2 > text_.size() || text_[at_] != '\\' || text_[at_ + 1] != 'u') fail("half of a surrogate pair");
    at_ += 2;
    const uint32_t low = hex4();
    if (low < 0xdc00 || low >= 0xe000) fail("half of a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  } else if (code >= 0xdc00 && code < 0xe000) {
    fail("half of a surrogate pair");
  }
  if (code == 0) fail("U+0000 in a string");  // programs with zero-terminated strings would read another name
  to += encodeUtf8(code, text_.data() + to);
}

uint32_t JsonScanner::hex4() {
  if (text_.size() - at_ < 4) fail("the text ends within an escape");
  uint32_t code = 0;
  for (const size_t end = at_ + 4; at_ < end; ++at_) {
    const char c = text_[at_];
    const uint32_t digit = isDigit(c)             ? uint32_t(c - '0')
                           : c >= 'a' && c <= 'f' ? uint32_t(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? uint32_t(c - 'A' + 10)
                                                  : 16;
    if (digit == 16) fail("\\u without four hexadecimal digits");
    code = code << 4 | digit;
  }
  return code;
}

uint64_t JsonScanner::number(const char* what) {
  const auto refuse = [&](const char* problem) { fail(std::string(what) + problem); };
  const char first = peek();
  if (first == '-') refuse(" is negative");
  if (!isDigit(first)) fail(std::string("expected a number: ") + what);
  uint64_t value = 0;
  const size_t begin = at_;
  for (; at_ < text_.size() && isDigit(text_[at_]); ++at_) {
    const auto digit = static_cast<uint64_t>(text_[at_] - '0');
    if (value > (uint64_t(INT64_MAX) - digit) / 10) refuse(" is 2^63 or more");
    value = value * 10 + digit;
  }
  if (first == '0' && at_ - begin > 1) refuse(" begins with 0");
  const char next = at_ < text_.size() ? text_[at_] : '\0';
  if (next == '.' || next == 'e' || next == 'E') refuse(" is not written as a whole number");
  return value;
}

void JsonScanner::skipWord(std::string_view word) {
  if (std::string_view(text_.data() + at_, text_.size() - at_).substr(0, word.size()) != word) fail("expected a value");
  at_ += word.size();
}

void JsonScanner::skipNumber() {
  const auto digits = [&] {
    if (at_ == text_.size() || !isDigit(text_[at_])) fail("expected a digit");
    while (at_ < text_.size() && isDigit(text_[at_])) ++at_;
  };
  const auto has = [&](std::string_view any) { return at_ < text_.size() && any.find(text_[at_]) != any.npos; };
  if (python_numbers_ && has("N")) return skipWord("NaN");
  if (has("-")) ++at_;
  if (python_numbers_ && has("I")) return skipWord("Infinity");
  if (has("0")) {
    ++at_;
  } else {
    digits();
  }
  if (has(".")) {
    ++at_;
    digits();
  }
  if (has("eE")) {
    ++at_;
    if (has("+-")) ++at_;
    digits();
  }
}

void JsonScanner::skipValue() {
  switch (peek()) {
    case '"': string("a value"); return;
    case 't': skipWord("true"); return;
    case 'f': skipWord("false"); return;
    case 'n': skipWord("null"); return;
    case '{': {
      std::string_view key;
      for (bool first = true; nextKey(first, key);) skipValue();
      return;
    }
    case '[':
      for (bool first = true; nextElement(first);) skipValue();
      return;
    default: skipNumber();
  }
}

bool JsonScanner::nextKey(bool& first, std::string_view& key) {
  if (first) {
    if (!take('{')) fail("expected an object");
    if (++depth_ > kMaxDepth) fail("nested too deep");
  }
  if (take('}')) {
    --depth_;
    return false;
  }
  if (!first) expect(',', "a value");
  first = false;
  key = string("a key");
  expect(':', "a key");
  return true;
}

bool JsonScanner::nextElement(bool& first) {
  if (first) {
    if (!take('[')) fail("expected a list");
    if (++depth_ > kMaxDepth) fail("nested too deep");
  }
  if (take(']')) {
    --depth_;
    return false;
  }
  if (!first) expect(',', "an element");
  first = false;
  if (peek() == ']') fail("expected an element after ','");
  return true;
}

void JsonScanner::finish(bool any_space) {
  if (any_space) skipSpace();
  while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  if (at_ < text_.size()) fail("text after the end of the object");
}

std::string jsonString(std::string_view text) {
  static const char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kDigits[c >> 4];
          out += kDigits[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

}  // namespace nib::model
