// Regular expressions of tokenizer.json, which are written for Oniguruma, run by PCRE2.
#ifndef NIB_MODEL_TOKENIZER_PATTERN_H
#define NIB_MODEL_TOKENIZER_PATTERN_H

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

struct TextRange {
  size_t begin = 0;
  size_t end = 0;
  bool is_match = false;
};

// A compiled pattern. Thread-safe.
class Pattern {
 public:
  // Throws if the pattern is invalid, may match the empty text, or has a construct that differs between Oniguruma and
  // PCRE2. `where` begins the messages.
  static Pattern oniguruma(std::string_view pattern, const std::string& where);
  // A pattern of this program, in PCRE2's syntax. It matches no empty text.
  static Pattern pcre2(std::string_view pattern);
  static Pattern literal(std::string_view text);

  // Divides `text`, which is valid UTF-8, into matches and what lies between them. Throws if a match takes too long.
  std::vector<TextRange> divide(std::string_view text) const;

 private:
  Pattern() = default;

  std::string literal_;               // if code_ is NULL
  std::shared_ptr<const void> code_;  // pcre2_code
  std::string shown_;
};

// The pattern of Oniguruma in PCRE2's syntax. Calls `refuse`, which throws, for constructs that it cannot translate
// exactly.
std::string translateOniguruma(std::string_view pattern, const std::function<void(const std::string&)>& refuse);

}  // namespace nib::model
#endif
