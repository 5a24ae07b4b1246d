#include "model/archive/ignore_list.h"

#include "model/archive/module_name.h"

#include <algorithm>
#include <set>

namespace nib::model {
namespace {

// All endings of names that begin at a segment, and the names.
std::set<std::string, std::less<>> endingsOf(const std::vector<WeightSpec>& weights) {
  std::set<std::string, std::less<>> endings;
  for (const WeightSpec& weight : weights) {
    const std::string module = weight.module();
    for (std::string_view rest = module; !rest.empty(); takeSegment(rest)) endings.emplace(rest);
  }
  return endings;
}

// Matches the module under any prefix, or under the known ones if another quantized module has the same ending.
std::string patternOf(const LoaderNames& names, std::string_view module, bool is_only_one) {
  return "re:" + (is_only_one ? std::string("(?:.*\\.)?") : names.wrappers()) + names.corePattern(module) + "$";
}

bool isInside(std::string_view module, std::string_view tree) {
  return module.starts_with(tree) && (module.size() == tree.size() || module[tree.size()] == '.');
}

bool isInAny(const std::vector<std::string>& trees, std::string_view module) {
  return std::any_of(trees.begin(), trees.end(), [&](const std::string& tree) { return isInside(module, tree); });
}

std::vector<std::string> sortedUnique(std::vector<std::string> list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

// Names of quantized modules, to look up beginnings and ends.
class Quantized {
 public:
  explicit Quantized(const ConfigFacts& facts) {
    for (const WeightSpec& weight : facts.weights) {
      for (std::string& name : facts.names.spellings(weight.module())) {
        backward_.insert(std::string(name.rbegin(), name.rend()));
        forward_.insert(std::move(name));
      }
    }
  }
  bool has(const std::string& name) const { return forward_.count(name) != 0; }
  // Whether the key is the beginning or the end of a name.
  bool isHit(const std::string& key) const {
    return begins(forward_, key) || begins(backward_, std::string(key.rbegin(), key.rend()));
  }

 private:
  static bool begins(const std::set<std::string>& names, const std::string& key) {
    const auto next = names.lower_bound(key);
    return next != names.end() && next->starts_with(key);
  }
  std::set<std::string> forward_, backward_;
};

}  // namespace

std::vector<std::string> ignoreList(const ConfigFacts& facts) {
  std::vector<std::string> list = facts.dense_modules;
  const std::set<std::string, std::less<>> quantized = endingsOf(facts.weights);
  for (const std::string& module : facts.dense_modules) {
    if (!facts.names.differ() || isInAny(facts.dense_trees, module)) continue;
    list.push_back(patternOf(facts.names, module, quantized.count(facts.names.core(module)) == 0));
  }
  for (const std::string& tree : facts.dense_trees) {
    const std::string start = std::string(facts.names.core(tree)) + ".";
    const auto same = quantized.lower_bound(start);
    const bool is_only_one = same == quantized.end() || !same->starts_with(start);
    list.push_back("re:" + (is_only_one ? std::string("(?:.*\\.)?") : facts.names.wrappers()) + escapedPattern(start) +
                   ".*");
  }
  return sortedUnique(std::move(list));
}

std::string targetOf(const ConfigFacts& facts, const std::string& module) {
  return facts.names.differ() ? patternOf(facts.names, module, false) : module;
}

std::vector<std::string> skipList(const ConfigFacts& facts) {
  const Quantized quantized(facts);
  std::vector<std::string> list;
  const auto add = [&](const std::string& module) {
    for (const std::string& name : facts.names.spellings(module)) {
      if (quantized.has(name)) continue;  // another module's name in a loader
      // With '$' the entry is a pattern that only the whole name matches.
      list.push_back(quantized.isHit(name) ? name + "$" : name);
    }
  };
  for (const std::string& module : facts.dense_modules) add(module);
  for (const std::string& tree : facts.dense_trees) {
    for (const std::string& name : facts.names.spellings(tree)) {
      if (!quantized.isHit(name)) list.push_back(name);
    }
  }
  return sortedUnique(std::move(list));
}

}  // namespace nib::model
