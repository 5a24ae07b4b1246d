// What calibrating found: collected statistics by tensor, the ranges made from them, and their file, CALIB.json
// (schema/v1.json).
#ifndef NIB_MODEL_CALIBRATE_CALIBRATION_H
#define NIB_MODEL_CALIBRATE_CALIBRATION_H

#include <nibble/nibble.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// How a range is found: of NibRangeMethod, or moving averages.
struct RangeChoice {
  bool ema = false;
  NibRangeMethod method = NIB_RANGE_MINMAX;
  double percentile = 0;
  bool symmetric = true;

  // "minmax", "ema", "percentile:99.99", "mse", "entropy-ort", "entropy-trt"
  std::string name() const;
};
// By its name; percentile alone is 99.99. None if there is no such method.
std::optional<RangeChoice> findRangeChoice(std::string_view name);

struct Histogram {
  NibHistogramHead head{};
  std::vector<uint64_t> counts;
};

// Data that was collected from: twice the same must not be merged.
struct CollectedData {
  std::string hash;  // of the values used and their shape
  uint64_t tokens = 0;
  auto operator<=>(const CollectedData&) const = default;
};

// Of one tensor. Order-free but for `ema`, and the last bits of `moments`, which are sums in fp64.
struct Collected {
  uint32_t channels = 0;
  bool by_channel = false;
  uint32_t bins = 0;                  // SIGNED
  std::vector<Histogram> histograms;  // one, or one per channel
  std::vector<NibMoments> moments;    // likewise
  std::vector<NibEma> ema;            // likewise; empty = merged, so unknown
  std::vector<CollectedData> data;    // sorted
};

struct ChosenRange {
  double min = 0, max = 0;
  float scale = 0;
  int32_t zero_point = 0;
};

struct CalibratedTensor {
  Collected collected;
  RangeChoice choice;
  std::vector<ChosenRange> ranges;  // one, or one per channel; of int8 codes
};

using Calibration = std::map<std::string, CalibratedTensor>;

// Adds what `from` collected. In any order, but for the last bits of moments. Throws: shapes or kinds differ, or data are in both.
void mergeCollected(Collected& into, const Collected& from, const std::string& name);

// Finds the ranges anew from what was collected. Throws if `choice` needs what was not: averages, after merging.
void chooseRanges(CalibratedTensor& tensor, const RangeChoice& choice, const std::string& name);

// The text of CALIB.json.
std::string calibrationText(const Calibration& calibration);
// Reads and checks one. Throws with the place that is wrong.
Calibration readCalibration(const std::filesystem::path& path);
// Whether a file begins like one.
bool looksLikeCalibration(const std::filesystem::path& path);

}  // namespace nib::model
#endif
