// Names of modules and tensors as lists of segments: "model.layers.0.mlp".
#ifndef NIB_MODEL_ARCHIVE_MODULE_NAME_H
#define NIB_MODEL_ARCHIVE_MODULE_NAME_H

#include <algorithm>
#include <string>
#include <string_view>

namespace nib::model {

inline constexpr std::string_view kWeightEnd = ".weight";

// The name of a weight without ".weight".
inline std::string_view moduleOf(std::string_view name) {
  if (name.ends_with(kWeightEnd)) name.remove_suffix(kWeightEnd.size());
  return name;
}

inline std::string_view lastSegment(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == name.npos ? name : name.substr(dot + 1);
}

inline std::string_view firstSegment(std::string_view name) { return name.substr(0, name.find('.')); }

// Takes the first segment off, and its dot.
inline std::string_view takeSegment(std::string_view& rest) {
  const std::string_view segment = firstSegment(rest);
  rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
  return segment;
}

inline bool isNumber(std::string_view segment) {
  return !segment.empty() && std::all_of(segment.begin(), segment.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Whether `word` is one of the words of a list that are separated by spaces.
inline bool hasWord(std::string_view list, std::string_view word) {
  for (size_t at = list.find(word); at != list.npos; at = list.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) return !word.empty();
    if (word.empty()) return false;
  }
  return false;
}

// The name with N for every number in it, which is equal for all layers and experts.
inline std::string templateOf(std::string_view name) {
  std::string text;
  while (!name.empty()) {
    const std::string_view segment = takeSegment(name);
    text += (text.empty() ? "" : ".") + (isNumber(segment) ? std::string("N") : std::string(segment));
  }
  return text;
}

// `text` as a regular expression that matches just that.
inline std::string escapedPattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view(".^$*+?()[]{}|\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace nib::model
#endif
