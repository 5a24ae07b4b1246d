// The kinds of transforms.
#include "model/archive/error.h"
#include "model/transform/transform.h"

#include <algorithm>

namespace nib::model {

std::span<const TransformKind* const> transformKinds() {
  static constexpr const TransformKind* kKinds[] = {&kAwqTransform,      &kSmoothTransform,   &kRotateTransform,
                                                    &kEqualizeTransform, &kHadamardTransform, &kSplitTransform,
                                                    &kClipTransform,     &kBiasTransform};
  return kKinds;
}

TransformChoice parseTransform(const std::string& text) {
  const size_t colon = text.find(':');
  TransformChoice choice{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
  const auto kinds = transformKinds();
  const auto kind =
      std::find_if(kinds.begin(), kinds.end(), [&](const TransformKind* known) { return known->name == choice.name; });
  if (kind == kinds.end()) {
    std::string names;
    for (const TransformKind* known : kinds) names += (names.empty() ? "" : ", ") + std::string(known->name);
    throw Error("--transform " + text + ": expected one of " + names);
  }
  if (colon != std::string::npos && choice.setting.empty()) throw Error("--transform " + text + ": ends with a colon");
  const std::string why = (*kind)->refuses(choice.setting);
  if (!why.empty()) throw Error("--transform " + text + ": " + why);
  return choice;
}

const TransformKind& kindOf(const TransformChoice& choice) {
  const auto kinds = transformKinds();
  return **std::find_if(kinds.begin(), kinds.end(),
                        [&](const TransformKind* known) { return known->name == choice.name; });
}

}  // namespace nib::model
