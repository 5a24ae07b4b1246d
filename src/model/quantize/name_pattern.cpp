#define PCRE2_CODE_UNIT_WIDTH 8

#include "model/quantize/name_pattern.h"

#include "model/archive/error.h"
#include "model/archive/module_name.h"

#include <pcre2.h>

#include <algorithm>
#include <new>

namespace nib::model {
namespace {

// A usual pattern takes a few hundred steps for a name; one of exponential cost is stopped after milliseconds.
constexpr uint32_t kMaxSteps = 200'000;
constexpr uint32_t kMaxHeapKib = 20'000;
constexpr uint32_t kMaxNestedGroups = 100;
constexpr std::string_view kAnchored = "re:";

template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

template <class T>
Owned<T> owned(T* object, void (*release)(T*)) {
  if (object == nullptr) throw std::bad_alloc();
  return {object, release};
}

std::string messageOf(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

NamePattern::NamePattern(const std::string& option, const std::string& pattern)
    : shown_(option + " " + quoteText(pattern)), text_(pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    throw Error(shown_ + ": is longer than " + std::to_string(kMaxPatternBytes) + " bytes: give it in parts");
  }
  uint32_t flags = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
  if (pattern.starts_with(kAnchored)) {
    text_.erase(0, kAnchored.size());
    flags |= PCRE2_ANCHORED;
  }
  const auto context = owned(pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_parens_nest_limit(context.get(), kMaxNestedGroups);
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* const code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), flags, &error, &at, context.get());
  if (code == nullptr) {
    throw Error(shown_ + ": is not a valid regular expression: " + messageOf(error) + " at byte " + std::to_string(at));
  }
  code_ = std::shared_ptr<const void>(
      code, [](const void* c) { pcre2_code_free(const_cast<pcre2_code*>(static_cast<const pcre2_code*>(c))); });
}

bool NamePattern::matches(const std::string& name) const {
  if (name.size() > kMaxSearchedBytes) {
    throw Error(quoteText(name) + ": a name of " + std::to_string(name.size()) +
                " bytes is too long for --include, --exclude and --rule");
  }
  return search(name) || (name.ends_with(kWeightEnd) && search(moduleOf(name)));
}

bool NamePattern::search(std::string_view name) const {
  const auto context = owned(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), kMaxSteps);
  pcre2_set_depth_limit(context.get(), kMaxSteps);
  pcre2_set_heap_limit(context.get(), kMaxHeapKib);
  const auto data = owned(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  const int count = pcre2_match(static_cast<const pcre2_code*>(code_.get()), reinterpret_cast<PCRE2_SPTR>(name.data()),
                                name.size(), 0, 0, data.get(), context.get());
  if (count == PCRE2_ERROR_NOMATCH) return false;
  if (count >= 0) return true;
  const bool limit =
      count == PCRE2_ERROR_MATCHLIMIT || count == PCRE2_ERROR_DEPTHLIMIT || count == PCRE2_ERROR_HEAPLIMIT;
  throw Error(shown_ + ": " + (limit ? "takes too many steps" : "failed (" + messageOf(count) + ")") + " on the name " +
              quoteText(name) + ": write it without repeats in repeats");
}

}  // namespace nib::model
