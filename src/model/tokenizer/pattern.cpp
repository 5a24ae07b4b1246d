#define PCRE2_CODE_UNIT_WIDTH 8

#include "model/tokenizer/pattern.h"

#include "model/archive/error.h"

#include <pcre2.h>

#include <algorithm>
#include <optional>

namespace nib::model {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool isHex(char c) { return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Oniguruma's \w, \s and \d for Unicode text; PCRE2's \w has no marks and its \s has U+180E.
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kSpace = "\\p{White_Space}";

class Translator {
 public:
  Translator(std::string_view pattern, const std::function<void(const std::string&)>& refuse)
      : pattern_(pattern), refuse_(refuse) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      switch (c) {
        case '\\': escape(false); break;
        case '[': set(); break;
        case '(': group(); break;
        case '{': braces(); break;
        case '*':
        case '+':
        case '?':
          out_ += c;
          ++at_;
          // Lazy and possessive forms are the same in both; a quantifier of a quantifier is not.
          if (at_ < pattern_.size() && (pattern_[at_] == '+' || pattern_[at_] == '?')) out_ += pattern_[at_++];
          if (at_ < pattern_.size() && std::string_view("*+?{").find(pattern_[at_]) != std::string_view::npos) {
            unknown("a repeated quantifier");
          }
          break;
        default: out_ += c; ++at_;
      }
    }
    checkFolding();
    return out_;
  }

 private:
  [[noreturn]] void unknown(const std::string& what) const {
    refuse_("the pattern " + quoteText(pattern_, 300) + " has " + what + ", which is not supported");
    throw Error("unreachable");
  }

  bool hasNext(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  // A class, which stands alone or as a part of a set.
  void addClass(std::string_view inside, bool negated, bool in_set) {
    if (in_set && negated) unknown("a negated class in a set");
    if (in_set) {
      out_ += inside;
    } else {
      out_ += negated ? "[^" : "[";
      out_ += inside;
      out_ += ']';
    }
  }

  void escape(bool in_set) {
    ++at_;
    if (at_ == pattern_.size()) unknown("a backslash at its end");
    const char c = pattern_[at_++];
    switch (c) {
      case 's': out_ += kSpace; return;
      case 'S': out_ += "\\P{White_Space}"; return;
      case 'd': out_ += "\\p{Nd}"; return;
      case 'D': out_ += "\\P{Nd}"; return;
      case 'w': addClass(kWord, false, in_set); return;
      case 'W': addClass(kWord, true, in_set); return;
      case 'v': out_ += "\\x0b"; return;
      case 'r':
      case 'n':
      case 't':
      case 'f': (out_ += '\\') += c; return;
      case 'p':
      case 'P': property(c); return;
      case 'x':
      case 'u': code(c); return;
      default: break;
    }
    if (isLetter(c) || isDigit(c)) unknown(std::string("the escape \\") + c);
    // A backslash before a character beyond ASCII has no meaning.
    if (static_cast<unsigned char>(c) < 0x80) out_ += '\\';
    out_ += c;
  }

  void property(char letter) {
    const size_t end = pattern_.find('}', at_);
    if (!hasNext("{") || end == std::string_view::npos) unknown("a property without braces");
    std::string name(pattern_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    bool negated = letter == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    if (name.empty() || !std::all_of(name.begin(), name.end(), [](char c) { return isLetter(c) || c == '_'; })) {
      unknown("the property " + quoteText(name));
    }
    // One or two letters are a general category, and anything longer a script. PCRE2's own rule for scripts is wider.
    out_ += negated ? "\\P{" : "\\p{";
    out_ += (name.size() > 2 ? "sc:" : "") + name + '}';
  }

  void code(char letter) {
    std::string digits;
    if (letter == 'x' && hasNext("{")) {
      const size_t end = pattern_.find('}', at_);
      if (end == std::string_view::npos) unknown("an unfinished \\x{");
      digits = pattern_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    } else {
      const size_t size = letter == 'x' ? 2 : 4;
      digits = pattern_.substr(at_, size);
      if (digits.size() < size) unknown(std::string("an unfinished \\") + letter);
      at_ += size;
      // Two digits are a byte in Oniguruma.
      if (size == 2 && digits[0] >= '8') unknown("a byte that is not ASCII");
    }
    if (digits.empty() || digits.size() > 6 || !std::all_of(digits.begin(), digits.end(), isHex)) {
      unknown(std::string("a bad code after \\") + letter);
    }
    out_ += "\\x{" + digits + '}';
  }

  void set() {
    out_ += pattern_[at_++];
    if (hasNext("^")) out_ += pattern_[at_++];
    if (hasNext("]")) unknown("an empty set");
    for (;;) {
      if (at_ == pattern_.size()) unknown("an unfinished set");
      const char c = pattern_[at_];
      if (c == '[') unknown("a set in a set");
      if (hasNext("&&")) unknown("an intersection of sets");
      if (c == '\\') {
        escape(true);
        continue;
      }
      out_ += c;
      ++at_;
      if (c == ']') return;
    }
  }

  void group() {
    const size_t begin = at_;
    out_ += pattern_[at_++];
    if (hasNext("*")) unknown("(*");
    if (!hasNext("?")) return;
    for (const std::string_view kind : {"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?-i:"}) {
      if (!hasNext(kind)) continue;
      out_ += kind;
      at_ += kind.size();
      if (kind == "?i:") folds_ = true;
      return;
    }
    // Elsewhere the scope of (?i) ends at different places in Oniguruma and PCRE2.
    if (hasNext("?i)") && begin == 0) {
      out_ += "?i)";
      at_ += 3;
      folds_ = true;
      return;
    }
    unknown("a group of an unknown kind");
  }

  void braces() {
    const size_t end = pattern_.find('}', at_);
    const std::string_view inside = end == std::string_view::npos ? "" : pattern_.substr(at_ + 1, end - at_ - 1);
    const size_t comma = inside.find(',');
    const auto digits = [](std::string_view text) { return std::all_of(text.begin(), text.end(), isDigit); };
    const std::string_view least = inside.substr(0, comma);
    const std::string_view most = comma == std::string_view::npos ? "" : inside.substr(comma + 1);
    if (inside.empty() || inside == "," || !digits(least) || !digits(most)) {
      out_ += "\\{";
      ++at_;
      return;
    }
    out_ += '{';
    out_ += least.empty() ? "0" : least;
    out_ += inside.substr(least.size());
    out_ += '}';
    at_ = end + 1;
    // {n}? and {n,m}+ mean other things in Oniguruma.
    if (at_ < pattern_.size() && std::string_view("*+?{").find(pattern_[at_]) != std::string_view::npos) {
      unknown("a quantifier after braces");
    }
  }

  // Ignoring case, Oniguruma also matches one character with two letters, U+FB00 with "ff".
  void checkFolding() const {
    if (!folds_) return;
    std::string lower;
    for (const char c : pattern_) lower += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    for (const std::string_view pair : {"ss", "ff", "fi", "fl", "st"}) {
      if (lower.find(pair) != std::string::npos)
        unknown("the letters \"" + std::string(pair) + "\" while ignoring case");
    }
  }

  std::string_view pattern_;
  const std::function<void(const std::string&)>& refuse_;
  std::string out_;
  size_t at_ = 0;
  bool folds_ = false;
};

using Code = std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)>;

std::string messageOf(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// Returns NULL and sets `problem` if the pattern is invalid.
std::shared_ptr<const pcre2_code> compile(std::string_view pattern, std::string& problem) {
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  if (context == nullptr) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE error_at = 0;
  // In Oniguruma ^ and $ are always the ends of a line.
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &error_at, context.get()),
            pcre2_code_free);
  if (code == nullptr) {
    problem = messageOf(error) + " at byte " + std::to_string(error_at);
    return nullptr;
  }
  // Without a JIT compiler it is interpreted.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return {code.release(), [](const pcre2_code* c) { pcre2_code_free(const_cast<pcre2_code*>(c)); }};
}

constexpr size_t kShortText = 4096;

class MatchLimits {
 public:
  // Returns false if that has been done.
  bool raise(size_t text_bytes) {
    if (context_ != nullptr) return false;
    context_.reset(pcre2_match_context_create(nullptr));
    stack_.reset(pcre2_jit_stack_create(size_t{32} << 10, size_t{64} << 20, nullptr));
    if (context_ == nullptr || stack_ == nullptr) throw std::bad_alloc();
    pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
    // Not enough for a pattern of exponential cost.
    pcre2_set_match_limit(context_.get(), uint32_t(std::min<size_t>(10000000 + text_bytes * 8, UINT32_MAX)));
    return true;
  }
  pcre2_match_context* context() const { return context_.get(); }

 private:
  std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context_{nullptr, pcre2_match_context_free};
  std::unique_ptr<pcre2_jit_stack, decltype(&pcre2_jit_stack_free)> stack_{nullptr, pcre2_jit_stack_free};
};

}  // namespace

std::string translateOniguruma(std::string_view pattern, const std::function<void(const std::string&)>& refuse) {
  return Translator(pattern, refuse).run();
}

Pattern Pattern::oniguruma(std::string_view pattern, const std::string& where) {
  const auto refuse = [&](const std::string& problem) { throw Error(where + ": " + problem); };
  const std::string translated = translateOniguruma(pattern, refuse);
  std::string problem;
  const std::shared_ptr<const pcre2_code> code = compile(translated, problem);
  if (code == nullptr) refuse("the pattern " + quoteText(pattern, 300) + " cannot be used: " + problem);
  uint32_t matches_empty = 0;
  pcre2_pattern_info(code.get(), PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0) refuse("the pattern " + quoteText(pattern, 300) + " matches the empty text");
  Pattern result;
  result.code_ = code;
  result.shown_ = quoteText(pattern, 300);
  return result;
}

Pattern Pattern::pcre2(std::string_view pattern) {
  Pattern result;
  std::string problem;
  result.code_ = compile(pattern, problem);
  if (result.code_ == nullptr) throw Error("the pattern " + quoteText(pattern, 300) + " cannot be used: " + problem);
  result.shown_ = quoteText(pattern, 300);
  return result;
}

Pattern Pattern::literal(std::string_view text) {
  Pattern result;
  result.literal_ = text;
  return result;
}

std::vector<TextRange> Pattern::divide(std::string_view text) const {
  std::vector<TextRange> ranges;
  size_t end = 0;
  const auto add = [&](size_t from, size_t to) {
    if (from > end) ranges.push_back({end, from, false});
    ranges.push_back({from, to, true});
    end = to;
  };
  if (code_ == nullptr) {
    for (size_t found; (found = text.find(literal_, end)) != std::string_view::npos;) {
      add(found, found + literal_.size());
    }
  } else {
    const auto* code = static_cast<const pcre2_code*>(code_.get());
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(pcre2_match_data_create(1, nullptr),
                                                                                   pcre2_match_data_free);
    if (data == nullptr) throw std::bad_alloc();
    // Most texts are words, for which the defaults do. A pattern that goes back over a whole long text needs more
    // steps, and more of a stack than the JIT compiler has at first.
    MatchLimits limits;
    if (text.size() > kShortText) limits.raise(text.size());
    while (end < text.size()) {
      int count = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), end, PCRE2_NO_UTF_CHECK,
                              data.get(), limits.context());
      if (count == PCRE2_ERROR_JIT_STACKLIMIT && limits.raise(text.size())) continue;
      // The group is not stored, only what matches.
      if (count == 0) count = 1;
      if (count == PCRE2_ERROR_NOMATCH) break;
      if (count < 0) throw Error("the pattern " + shown_ + " of the tokenizer failed: " + messageOf(count));
      const PCRE2_SIZE* found = pcre2_get_ovector_pointer(data.get());
      // A look-behind can only move the beginning back with \K, which is refused.
      if (found[1] <= found[0] || found[0] < end) throw Error("the pattern " + shown_ + " of the tokenizer is unsound");
      add(found[0], found[1]);
    }
  }
  if (end < text.size()) ranges.push_back({end, text.size(), false});
  return ranges;
}

}  // namespace nib::model
