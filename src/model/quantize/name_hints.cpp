#include "model/quantize/name_hints.h"

#include "model/archive/module_name.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace nib::model {
namespace {

constexpr size_t kMaxLiteral = 64;
constexpr size_t kMaxName = 256;
constexpr size_t kMaxKinds = 2000;

// The longest text in the pattern that stands for itself.
std::string literalOf(std::string_view pattern) {
  std::string longest, current;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const bool escaped = c == '\\' && i + 1 < pattern.size();
    const char next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                        c == '-' || (c == '.' && next != '*' && next != '+' && next != '?');
    if (escaped && next == '.') {
      current += '.';
      ++i;
    } else if (letter) {
      current += c;
    } else {
      if (escaped) ++i;
      if (current.size() > longest.size()) longest = current;
      current.clear();
    }
  }
  if (current.size() > longest.size()) longest = current;
  return longest.substr(0, kMaxLiteral);
}

// The fewest insertions, deletions, replacements and swaps of neighbours that make `text` a part of `name`.
size_t distanceWithin(std::string_view text, std::string_view name) {
  std::vector<size_t> before(name.size() + 1, 0), row(name.size() + 1, 0), next(name.size() + 1, 0);
  for (size_t i = 1; i <= text.size(); ++i) {
    next[0] = i;
    for (size_t j = 1; j <= name.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (text[i - 1] != name[j - 1] ? 1 : 0)});
      const bool swapped = i > 1 && j > 1 && text[i - 1] == name[j - 2] && text[i - 2] == name[j - 1];
      if (swapped) next[j] = std::min(next[j], before[j - 2] + 1);
    }
    std::swap(before, row);
    std::swap(row, next);
  }
  return *std::min_element(row.begin(), row.end());
}

}  // namespace

std::vector<std::string> nearestNames(std::string_view pattern, const std::vector<std::string_view>& names,
                                      size_t count) {
  std::map<std::string, std::string_view> kinds;
  for (const std::string_view name : names) {
    if (kinds.size() == kMaxKinds) break;
    if (name.size() <= kMaxName) kinds.emplace(templateOf(name), name);
  }
  const std::string literal = literalOf(pattern);
  std::vector<std::pair<size_t, std::string_view>> found;
  for (const auto& [kind, name] : kinds) found.emplace_back(distanceWithin(literal, name), name);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second.size() < b.second.size();
  });
  std::vector<std::string> nearest;
  for (size_t i = 0; i < std::min(count, found.size()); ++i) nearest.emplace_back(found[i].second);
  return nearest;
}

}  // namespace nib::model
