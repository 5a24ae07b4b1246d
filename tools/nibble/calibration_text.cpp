#include "calibration_text.h"

#include "model_text.h"
#include "options.h"

#include "model/archive/json_document.h"

#include <algorithm>

namespace nib::tool {
namespace {

// One end of the ranges: the value if all are equal, else "smallest .. largest".
std::string rangeText(const std::vector<model::ChosenRange>& ranges, double model::ChosenRange::*end) {
  double low = ranges.front().*end, high = low;
  for (const model::ChosenRange& r : ranges) {
    low = std::min(low, r.*end);
    high = std::max(high, r.*end);
  }
  return low == high ? numberText("%.6g", low) : numberText("%.4g", low) + " .. " + numberText("%.4g", high);
}

}  // namespace

nlohmann::ordered_json rangesJson(const model::Calibration& calibration) {
  std::vector<std::pair<std::string, nlohmann::ordered_json>> tensors;
  for (const auto& [name, t] : calibration) {
    tensors.emplace_back(name, nlohmann::ordered_json{{"range", t.choice.name()},
                                                      {"min", t.ranges[0].min},
                                                      {"max", t.ranges[0].max},
                                                      {"ranges", t.ranges.size()}});
  }
  return model::jsonObject(std::move(tensors));
}

void printCalibration(std::FILE* file, const model::Calibration& calibration) {
  Table table({"tensor", "tokens", "channels", "range", "min", "max", "scale", "zero", "clipped", "NaN/Inf"},
              {false, true, true, false, true, true, true, true, true, true});
  for (const auto& [name, t] : calibration) {
    uint64_t tokens = 0, nonfinite = 0;
    double clipped = 0;
    for (const model::CollectedData& d : t.collected.data) tokens += d.tokens;
    for (size_t i = 0; i < t.ranges.size(); ++i) {
      clipped += model::clippedShare(t.collected, i, t.ranges[i]) / double(t.ranges.size());
      nonfinite += t.collected.histograms[i].head.nonfinite_count;
    }
    const bool one = t.ranges.size() == 1;
    table.add({plainName(name), std::to_string(tokens), std::to_string(t.collected.channels), t.choice.name(),
               rangeText(t.ranges, &model::ChosenRange::min), rangeText(t.ranges, &model::ChosenRange::max),
               one ? numberText("%.6g", t.ranges[0].scale) : "-", one ? std::to_string(t.ranges[0].zero_point) : "-",
               numberText("%.4g %%", 100 * clipped), std::to_string(nonfinite)});
  }
  table.print(file);
}

}  // namespace nib::tool
