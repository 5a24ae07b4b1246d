// Regular expressions for names of tensors, in the syntax of PCRE2 (perlre): the patterns of --include, --exclude and
// --rule. Compiling and matching are bounded in time and memory, whatever the pattern.
#ifndef NIB_MODEL_QUANTIZE_NAME_PATTERN_H
#define NIB_MODEL_QUANTIZE_NAME_PATTERN_H

#include <cstddef>
#include <memory>
#include <string>

namespace nib::model {

inline constexpr size_t kMaxPatternBytes = 4096;
inline constexpr size_t kMaxSearchedBytes = 4096;

// Thread-safe.
class NamePattern {
 public:
  // option: begins the messages, "--include". Throws Error.
  NamePattern(const std::string& option, const std::string& pattern);
  // Whether the pattern matches a part of the name, which is UTF-8. Throws Error if the name is too long, or if
  // matching takes too many steps.
  bool matches(const std::string& name) const;

 private:
  std::string shown_;
  std::shared_ptr<const void> code_;  // pcre2_code
};

}  // namespace nib::model
#endif
