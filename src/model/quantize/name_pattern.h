// Regular expressions for names of tensors, in the syntax of PCRE2 (perlre): the patterns of --include, --exclude and
// --rule. Compiling and matching are bounded in time and memory, whatever the pattern.
#ifndef NIB_MODEL_QUANTIZE_NAME_PATTERN_H
#define NIB_MODEL_QUANTIZE_NAME_PATTERN_H

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace nib::model {

inline constexpr size_t kMaxPatternBytes = 4096;
inline constexpr size_t kMaxSearchedBytes = 4096;

// Thread-safe.
class NamePattern {
 public:
  // option: begins the messages, "--include". A pattern "re:..." matches from the start of a name, as in the lists of
  // compressed-tensors. Throws Error.
  NamePattern(const std::string& option, const std::string& pattern);
  // Whether the pattern matches a part of the name, which is UTF-8, or of the name without ".weight". Throws Error if
  // the name is too long, or if matching takes too many steps.
  bool matches(const std::string& name) const;

  const std::string& shown() const { return shown_; }  // "--include \"q_proj\""
  const std::string& text() const { return text_; }    // without "re:"

 private:
  bool search(std::string_view name) const;

  std::string shown_, text_;
  std::shared_ptr<const void> code_;  // pcre2_code
};

}  // namespace nib::model
#endif
