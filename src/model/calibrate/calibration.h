// Results of calibration: collected statistics per tensor, the ranges chosen from them, and their file, CALIB.json
// (schema/v2.json).
#ifndef NIB_MODEL_CALIBRATE_CALIBRATION_H
#define NIB_MODEL_CALIBRATE_CALIBRATION_H

#include "model/calibrate/sparse_counts.h"

#include <nibble/nibble.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// The method that chooses a range: one of NibRangeMethod, or exponential moving averages.
struct RangeChoice {
  bool ema = false;
  NibRangeMethod method = NIB_RANGE_MINMAX;
  double percentile = 0;
  bool symmetric = true;

  // "minmax", "ema", "percentile:99.99", "mse", "entropy-ort", "entropy-trt"
  std::string name() const;
};
// Parses such a name; "percentile" without a number means 99.99. None if there is no such method.
std::optional<RangeChoice> findRangeChoice(std::string_view name);

struct Histogram {
  NibHistogramHead head{};
  std::vector<uint64_t> counts;
  SparseCounts log_counts;  // of the same values, if Collected::log_bits has a value
};

// Identifies the data behind statistics, so that the same data is never merged twice.
struct CollectedData {
  std::string hash;  // hash of the type, the number of channels and the values used
  uint64_t tokens = 0;
  auto operator<=>(const CollectedData&) const = default;
};

// Statistics of one tensor. They do not depend on the order of the data, except for `ema` and for the last bits of
// `moments`, which are fp64 sums.
struct Collected {
  uint32_t channels = 0;
  bool by_channel = false;
  uint32_t bins = 0;                  // per histogram, NIB_HISTOGRAM_SIGNED
  std::optional<uint32_t> log_bits;   // mantissa bits of the log-spaced counts; none in files of schema 1
  std::vector<Histogram> histograms;  // one, or one per channel
  std::vector<NibMoments> moments;    // likewise
  std::vector<NibEma> ema;            // likewise; empty = unknown, because the statistics were merged
  std::vector<CollectedData> data;    // sorted
};

struct ChosenRange {
  double min = 0, max = 0;
  float scale = 0;
  int32_t zero_point = 0;
  bool coarse = false;  // NIB_RANGE_COARSE; not in the file
};

struct CalibratedTensor {
  Collected collected;
  RangeChoice choice;
  std::vector<ChosenRange> ranges;  // for int8 codes; one, or one per channel
};

using Calibration = std::map<std::string, CalibratedTensor>;

// Merges the statistics `from` into `into`. The order of merging affects only the last bits of moments. name: for
// messages. Throws if channels, granularity or bins differ, or if both contain the same data. If one of them has no
// log-spaced counts, the result has none.
void mergeCollected(Collected& into, const Collected& from, const std::string& name);

// Recomputes the ranges of a tensor from its statistics. name: for messages. Throws if `choice` needs moving averages
// and merging has discarded them.
void chooseRanges(CalibratedTensor& tensor, const RangeChoice& choice, const std::string& name);

// The fraction of finite values outside the range of histogram `index`, estimated from its counts (nibClippedShare).
double clippedShare(const Collected& collected, size_t index, const ChosenRange& range);

// The text of CALIB.json.
std::string calibrationText(const Calibration& calibration);
// Reads and validates a CALIB.json. Throws; the message names the offending field.
Calibration readCalibration(const std::filesystem::path& path);
// The same, of its text, which is overwritten. `where` begins the messages.
Calibration parseCalibration(std::span<char> text, const std::string& where);
// Whether the path is a regular file named *.json.
bool looksLikeCalibration(const std::filesystem::path& path);

}  // namespace nib::model
#endif
