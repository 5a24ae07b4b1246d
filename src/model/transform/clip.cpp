// Clips weights to a percentile of the magnitudes of their group, so that a few large ones do not widen the steps of
// all others. Unlike the other transforms it changes the network.
#include "model/transform/scaling.h"
#include "model/transform/transform.h"

#include <charconv>
#include <optional>

namespace nib::model {
namespace {

constexpr double kUsualPercentile = 99.9;

std::optional<double> percentileOf(const std::string& setting) {
  if (setting.empty()) return kUsualPercentile;
  double percentile = 0;
  const auto [end, error] = std::from_chars(setting.data(), setting.data() + setting.size(), percentile);
  const bool good =
      error == std::errc() && end == setting.data() + setting.size() && percentile >= 50 && percentile <= 100;
  return good ? std::optional(percentile) : std::nullopt;
}

std::string refuses(const std::string& setting) {
  return percentileOf(setting) ? "" : "expected clip, or clip:P with a percentile from 50 to 100";
}

Edits make(const TransformInput& input, const std::string& setting, TransformReport& report) {
  Edits edits;
  for (uint32_t layer = 0; layer < input.config.layers; ++layer) {
    for (const std::vector<std::string>& modules : linearLayers(input.config, layer)) {
      for (const std::string& module : modules) {
        const std::optional<WeightSpec> spec = input.weight(module);
        if (!spec) continue;
        const bool grouped = spec->weights.granularity == NIB_GRANULARITY_GROUP && spec->weights.group_size != 0;
        const uint64_t group = grouped ? spec->weights.group_size : spec->cols;
        edits.add(module + ".weight", clampGroups(group, *percentileOf(setting)));
        report.steps.push_back({layer, module, {module}, "percentile", percentileOf(setting), {}, {}});
      }
    }
  }
  return edits;
}

}  // namespace

const TransformKind kClipTransform = {"clip", "clips weights to a percentile of their group", false, false, refuses,
                                      make};

}  // namespace nib::model
