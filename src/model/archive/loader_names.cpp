#include "model/archive/loader_names.h"

#include "model/archive/module_name.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr std::string_view kWrappers = "model language_model language llm transformer thinker base_model";

}  // namespace

LoaderNames::LoaderNames(bool wraps, std::string_view bases, std::string_view renames)
    : differ_(true), wraps_(wraps), bases_(bases), renames_(renames) {}

std::string LoaderNames::renamed(std::string_view core) const {
  std::string name = "." + std::string(core) + ".";
  for (std::string_view rest = renames_; !rest.empty();) {
    const std::string_view pair = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t arrow = pair.find('>');
    const std::string from = "." + std::string(pair.substr(0, arrow)) + ".";
    const size_t at = name.find(from);
    if (at != name.npos) name.replace(at, from.size(), "." + std::string(pair.substr(arrow + 1)) + ".");
  }
  return name.substr(1, name.size() - 2);
}

std::string LoaderNames::corePattern(std::string_view module) const {
  const std::string_view old = core(module);
  const std::string now = renamed(old);
  return now == old ? escapedPattern(old) : "(?:" + escapedPattern(old) + "|" + escapedPattern(now) + ")";
}

bool LoaderNames::isWrapper(std::string_view segment) const {
  return hasWord(kWrappers, segment) || hasWord(bases_, segment);
}

std::string_view LoaderNames::core(std::string_view module) const {
  std::string_view rest = module;
  for (std::string_view next = rest; isWrapper(takeSegment(next)) && !next.empty();) rest = next;
  return rest;
}

std::vector<std::string> LoaderNames::spellings(std::string_view module) const {
  std::vector<std::string> names{std::string(module)};
  if (!differ_) return names;
  const auto add = [&](std::string name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  };
  for (const std::string& inner : {std::string(core(module)), renamed(core(module))}) {
    add(inner);
    for (std::string_view rest = bases_; !rest.empty();) {
      const std::string_view base = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), base.size() + 1));
      add(std::string(base) + "." + inner);
    }
    if (!wraps_) continue;
    for (const char* prefix : {"model.", "model.language_model.", "language_model.model.", "language_model."}) {
      add(prefix + inner);
    }
  }
  return names;
}

std::string LoaderNames::wrappers() const {
  std::string text = "(?:(?:";
  for (const std::string_view list : {kWrappers, std::string_view(bases_)}) {
    for (std::string_view rest = list; !rest.empty();) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      text += (text.ends_with(':') ? "" : "|") + std::string(word);
    }
  }
  return text + ")\\.)*";
}

}  // namespace nib::model
