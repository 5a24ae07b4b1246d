#include "model/archive/loader_names.h"

#include "model/archive/module_name.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr std::string_view kWrappers = "model language_model language llm transformer thinker base_model";

}  // namespace

LoaderNames::LoaderNames(bool wraps, std::string_view bases) : differ_(true), wraps_(wraps), bases_(bases) {}

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
  const std::string inner(core(module));
  add(inner);
  for (std::string_view rest = bases_; !rest.empty();) {
    const std::string_view base = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), base.size() + 1));
    add(std::string(base) + "." + inner);
  }
  if (!wraps_) return names;
  for (const char* prefix : {"model.", "model.language_model.", "language_model.model.", "language_model."}) {
    add(prefix + inner);
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
