// Outlier channel splitting (arXiv 1901.09504): the columns of down with the largest weights become two of half the
// size, and the inner layers of the block grow by as many channels. Needs no data.
#include "model/archive/error.h"
#include "model/run/network_view.h"
#include "model/transform/scaling.h"
#include "model/transform/transform.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

namespace nib::model {
namespace {

constexpr double kUsualShare = 5;  // percent

std::optional<double> shareOf(const std::string& setting) {
  if (setting.empty()) return kUsualShare;
  double share = 0;
  const auto [end, error] = std::from_chars(setting.data(), setting.data() + setting.size(), share);
  const bool good = error == std::errc() && end == setting.data() + setting.size() && share > 0 && share <= 100;
  return good ? std::optional(share) : std::nullopt;
}

// By column, the sum over rows of how far the largest magnitude of a group stands above the second largest, counted for
// the column that has it: what a split would take off the range of groups.
std::vector<double> gains(const std::vector<float>& weight, uint64_t cols, uint64_t group) {
  std::vector<double> gain(cols);
  for (uint64_t row = 0; row < weight.size(); row += cols) {
    for (uint64_t begin = 0; begin < cols; begin += group) {
      double most = 0, second = 0;
      uint64_t at = begin;
      for (uint64_t c = begin; c < std::min(begin + group, cols); ++c) {
        const double x = std::fabs(double(weight[row + c]));
        if (x > most) {
          second = most;
          most = x;
          at = c;
        } else {
          second = std::max(second, x);
        }
      }
      gain[at] += most - std::max(second, most / 2);
    }
  }
  return gain;
}

Edits make(const TransformInput& input, const std::string& setting, TransformReport& report) {
  refuseExperts(input.config, "--transform split", "their inner channels are not split yet");
  Edits edits;
  const uint64_t inner = input.config.inner;
  constexpr uint64_t kMultiple = 64;  // of the new columns: groups of this size still end with the rows
  const uint64_t wanted = uint64_t(std::ceil(double(inner) * *shareOf(setting) / 100));
  const uint64_t more = std::min((wanted + kMultiple - 1) / kMultiple * kMultiple, inner);
  for (uint32_t layer = 0; layer < input.config.layers; ++layer) {
    for (const ScaleGroup& group : scaleGroups(input.config, layer)) {
      // Where rows and columns are the same channels: up -> down.
      if (group.norm || group.run != 0) continue;
      const std::string down = group.modules.front();
      const std::optional<WeightSpec> spec = input.weight(down);
      const bool grouped = spec && spec->weights.granularity == NIB_GRANULARITY_GROUP && spec->weights.group_size != 0;
      const std::vector<float> weight = readValues(input.view, down + ".weight");
      const std::vector<double> gain = gains(weight, inner, grouped ? spec->weights.group_size : inner);
      std::vector<uint64_t> by_gain(inner);
      std::iota(by_gain.begin(), by_gain.end(), 0u);
      std::stable_sort(by_gain.begin(), by_gain.end(), [&](uint64_t a, uint64_t b) { return gain[a] > gain[b]; });
      std::vector<uint64_t> channels(inner);
      std::iota(channels.begin(), channels.end(), 0u);
      std::vector<double> factors(inner, 1.0);
      for (uint64_t i = 0; i < more; ++i) {
        factors[by_gain[i]] = 0.5;
        channels.push_back(by_gain[i]);
        factors.push_back(0.5);
      }
      // All layers that make the inner channels: gate and up, or one with the rows of both.
      std::vector<uint64_t> rows = channels;
      for (size_t i = 0; i < channels.size() && group.first != 0; ++i) rows.push_back(group.first + channels[i]);
      for (const std::vector<std::string>& makers : linearLayers(input.config, layer)) {
        if (std::find(makers.begin(), makers.end(), group.before) == makers.end()) continue;
        for (const std::string& maker : makers) {
          edits.add(maker + ".weight", takeRows(rows));
          if (input.view.find(maker + ".bias") != nullptr) {
            edits.add(maker + ".bias", takeColumns(rows, std::vector<double>(rows.size(), 1.0)));
          }
        }
      }
      edits.add(down + ".weight", takeColumns(channels, factors));
      report.steps.push_back({layer, group.before, group.modules, "channels", double(more), {}, {}});
    }
  }
  if (report.steps.empty()) {
    throw Error("--transform split: models of type " + input.config.family + " have no gated layers");
  }
  edits.config["intermediate_size"] = inner + more;
  return edits;
}

std::string refuses(const std::string& setting) {
  return shareOf(setting) ? ""
                          : "expected split, or split:P with a percentage of the inner channels above 0, up to 100";
}

}  // namespace

const TransformKind kSplitTransform = {
    "split", "splits the channels of down with the largest weights", false, false, refuses, make};

}  // namespace nib::model
