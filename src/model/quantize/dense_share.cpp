#include "model/quantize/dense_share.h"

#include "model/archive/module_name.h"

#include <algorithm>

namespace nib::model {
namespace {

// A regular expression of all names with this template.
std::string patternOf(std::string_view name_template) {
  std::string pattern;
  while (!name_template.empty()) {
    const std::string_view segment = takeSegment(name_template);
    pattern += (pattern.empty() ? "^" : "\\.") + (segment == "N" ? std::string("[0-9]+") : escapedPattern(segment));
  }
  return pattern;
}

}  // namespace

void DenseCount::add(const TensorInfo& tensor, const Decision& decision) {
  if (!nibTypeOf(tensor.dtype)) return;
  uint64_t weights = 1;
  for (const uint64_t side : tensor.shape) weights *= side;
  share_.all += weights;
  if (decision.kind == Decision::kQuantize) return;
  share_.dense += weights;
  const std::string_view module = moduleOf(tensor.name);
  const ModuleKind kind = facts_.kind(module);
  const std::string_view tower = kind == ModuleKind::kTower ? towerOf(module) : std::string_view();
  const std::string name = templateOf(tower.empty() ? module : tower);
  DenseGroup& group = groups_[name];
  group.name = name;
  group.weights += weights;
  const bool is_embedding = container_.holdsEmbeddings() && facts_.embedding() == tensor.name;
  const bool can =
      is_embedding || (facts_.isLinear(tensor) && (!facts_.isTransposed(tensor) || container_.holdsTransposed()));
  if (can && decision.note.empty()) group.pattern = patternOf(name) + (tower.empty() ? "$" : "\\.");
  if (group.why.empty()) {
    group.why = !decision.note.empty()                                  ? decision.note
                : tensor.shape.size() < 2 && kind != ModuleKind::kTower ? "vectors"
                : kind == ModuleKind::kOther || kind == ModuleKind::kBlockLinear
                    ? can ? "a linear layer" : "no linear layer"
                    : std::string(kindText(kind));
  }
}

DenseShare DenseCount::share(size_t count) const {
  DenseShare share = share_;
  for (const auto& [name, group] : groups_) share.largest.push_back(group);
  std::stable_sort(share.largest.begin(), share.largest.end(),
                   [](const DenseGroup& a, const DenseGroup& b) { return a.weights > b.weights; });
  share.largest.resize(std::min(share.largest.size(), count));
  return share;
}

}  // namespace nib::model
