#include "model/eval/drift.h"

#include "model/archive/error.h"
#include "model/calibrate/input_statistics.h"
#include "model/eval/random.h"
#include "model/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace nib::model {
namespace {

constexpr size_t kResampleCount = 4000;
constexpr double kProbabilities[] = {0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999};
// A bound of the normal distribution: exceeded in magnitude with probability kDriftAlarm.
constexpr double kNormalBound = 2.5758293035489004;

// A layer's windows as differences from their mean, and the weights of thresholds.
class Layer {
 public:
  explicit Layer(const LayerSample& sample) : before_(sample.before), mean_(sample.before.size(), 0.0) {
    for (const std::vector<double>& window : sample.windows) {
      for (size_t k = 0; k < mean_.size(); ++k) mean_[k] += window[k] / double(sample.windows.size());
    }
    for (const std::vector<double>& window : sample.windows) {
      for (size_t k = 0; k < mean_.size(); ++k) deviations_.push_back(window[k] - mean_[k]);
    }
    for (const double p : before_) weights_.push_back(1 / std::sqrt(std::max(p * (1 - p), 1e-3)));
  }
  double distance() const {
    double largest = 0;
    for (size_t k = 0; k < mean_.size(); ++k) {
      largest = std::max(largest, std::fabs(mean_[k] - before_[k]) * weights_[k]);
    }
    return largest;
  }
  // The distance of a resample's mean, which counts each window so many times, from the mean.
  double resampled(std::span<const uint32_t> times) const {
    double largest = 0;
    for (size_t k = 0; k < mean_.size(); ++k) {
      double sum = 0;
      for (size_t w = 0; w < times.size(); ++w) sum += times[w] * deviations_[w * mean_.size() + k];
      largest = std::max(largest, std::fabs(sum / double(times.size())) * weights_[k]);
    }
    return largest;
  }

 private:
  std::vector<double> before_, mean_, weights_;
  std::vector<double> deviations_;  // [windows, thresholds]
};

// The widths that a bootstrap of n windows lacks.
double widening(size_t windows, double before_windows) {
  const double n = double(windows);
  return std::sqrt(1 + n / before_windows) * std::sqrt(n / (n - 1)) * studentBound(kDriftAlarm, n - 1) / kNormalBound;
}

}  // namespace

std::vector<LayerDrift> testDrift(std::span<const LayerSample> samples, double before_windows) {
  std::vector<Layer> layers;
  for (const LayerSample& sample : samples) layers.emplace_back(sample);
  const size_t windows = samples.empty() ? 0 : samples.front().windows.size();
  if (windows < 2) throw Error("a test of drift needs two windows or more");
  std::vector<std::vector<double>> distances(layers.size());  // by layer and resample
  Random random(0);
  std::vector<uint32_t> times(windows);
  for (size_t i = 0; i < kResampleCount; ++i) {
    std::fill(times.begin(), times.end(), 0u);
    for (size_t w = 0; w < windows; ++w) ++times[random.below(windows)];
    for (size_t l = 0; l < layers.size(); ++l) distances[l].push_back(layers[l].resampled(times));
  }
  const double wider = widening(windows, before_windows);
  std::vector<double> scales(layers.size(), 0.0), largest(kResampleCount, 0.0);
  for (size_t l = 0; l < layers.size(); ++l) {
    for (const double distance : distances[l]) scales[l] += distance * wider / double(kResampleCount);
    if (scales[l] == 0) continue;
    for (size_t i = 0; i < kResampleCount; ++i) {
      largest[i] = std::max(largest[i], distances[l][i] * wider / scales[l]);
    }
  }
  std::sort(largest.begin(), largest.end());
  std::vector<LayerDrift> result;
  for (size_t l = 0; l < layers.size(); ++l) {
    LayerDrift drift{layers[l].distance(), 1};
    // Windows that are all equal have no scale: any difference is one.
    const double measure = scales[l] > 0 ? drift.distance / scales[l] : drift.distance > 0 ? HUGE_VAL : 0;
    const auto as_far = largest.end() - std::lower_bound(largest.begin(), largest.end(), measure);
    // The data themselves count as one resample, so that no probability is 0.
    drift.probability = double(as_far + 1) / double(kResampleCount + 1);
    result.push_back(drift);
  }
  return result;
}

namespace {

// Log-spaced bins at whose upper ends distribution functions are compared.
struct Thresholds {
  std::vector<uint32_t> bins;
  std::vector<double> before;
};

uint64_t countOf(const SparseCounts& counts) {
  uint64_t all = 0;
  for (const SparseCount& c : counts) all += c.count;
  return all;
}

Thresholds thresholdsOf(const SparseCounts& counts) {
  Thresholds thresholds;
  const auto all = double(countOf(counts));
  const double* next = std::begin(kProbabilities);
  uint64_t sum = 0;
  for (const SparseCount& c : counts) {
    sum += c.count;
    if (next == std::end(kProbabilities) || sum == uint64_t(all)) break;
    if (double(sum) < *next * all) continue;
    thresholds.bins.push_back(c.bin);
    thresholds.before.push_back(double(sum) / all);
    while (next != std::end(kProbabilities) && double(sum) >= *next * all) ++next;
  }
  return thresholds;
}

std::vector<double> distributionAt(const std::vector<uint32_t>& bins, const SparseCounts& counts) {
  const double all = std::max<double>(1, double(countOf(counts)));
  std::vector<double> values;
  uint64_t sum = 0;
  auto c = counts.begin();
  for (const uint32_t bin : bins) {
    for (; c != counts.end() && c->bin <= bin; ++c) sum += c->count;
    values.push_back(double(sum) / all);
  }
  return values;
}

SparseCounts difference(const SparseCounts& all, const SparseCounts& before) {
  SparseCounts counts;
  auto b = before.begin();
  for (const SparseCount& a : all) {
    const uint64_t had = b != before.end() && b->bin == a.bin ? (b++)->count : 0;
    if (a.count > had) counts.push_back({a.bin, a.count - had});
  }
  return counts;
}

const CalibratedTensor& calibrated(const Calibration& calibration, const std::string& module) {
  const auto found = calibration.find(module + ".input");
  if (found == calibration.end()) {
    throw Error("--watch: the calibration has no " + quoteText(module + ".input") +
                ": it is of another model; make one with nibble calibrate MODEL --data");
  }
  const Collected& collected = found->second.collected;
  if (collected.by_channel) throw Error("--watch: the calibration has ranges by channel; use --granularity tensor");
  if (!collected.log_bits) {
    throw Error("--watch: the calibration is of schema 1 and has no log-spaced counts: calibrate the data again");
  }
  return found->second;
}

uint64_t tokensOf(const Collected& collected) {
  uint64_t tokens = 0;
  for (const CollectedData& data : collected.data) tokens += data.tokens;
  return tokens;
}

}  // namespace

DriftReport measureDrift(Runner& runner, const Calibration& calibration, std::span<const uint32_t> ids,
                         const EvalOptions& options, const std::function<void(uint64_t done, uint64_t all)>& progress) {
  const std::vector<Window> windows = cutWindows(ids.size(), options);
  if (windows.size() < kLeastDriftWindows) {
    throw Error("--watch needs " + std::to_string(kLeastDriftWindows) + " windows or more, and the data have " +
                std::to_string(windows.size()) + ": give more text or a smaller --window");
  }
  InputStatistics statistics(runner, false);
  DriftReport report;
  report.windows = windows.size();
  std::vector<const CalibratedTensor*> tensors;
  std::vector<Thresholds> thresholds;
  std::vector<LayerSample> samples;
  double before_windows = HUGE_VAL;
  for (size_t i = 0; i < statistics.size(); ++i) {
    const CalibratedTensor& tensor = calibrated(calibration, statistics.modules(i).front());
    tensors.push_back(&tensor);
    report.inputs.push_back({statistics.modules(i), tensor.ranges[0].min, tensor.ranges[0].max, 0, 0, 0, {}});
    thresholds.push_back(thresholdsOf(tensor.collected.histograms[0].log_counts));
    samples.push_back({thresholds.back().before, {}});
    before_windows = std::min(before_windows, double(tokensOf(tensor.collected)) / options.window);
  }
  std::vector<SparseCounts> counted(statistics.size());
  std::vector<Collected> collected(statistics.size());
  for (size_t w = 0; w < windows.size(); ++w) {
    statistics.run(ids.subspan(windows[w].begin, options.window));
    for (size_t i = 0; i < statistics.size(); ++i) {
      collected[i] = {};
      statistics.finish(i, collected[i]);
      if (collected[i].log_bits != tensors[i]->collected.log_bits) {
        throw Error("--watch: the calibration's log-spaced counts have other bins: calibrate the data again");
      }
      const SparseCounts& counts = collected[i].histograms[0].log_counts;
      samples[i].windows.push_back(distributionAt(thresholds[i].bins, difference(counts, counted[i])));
      counted[i] = counts;
    }
    progress(uint64_t(w + 1) * options.window, uint64_t(windows.size()) * options.window);
  }
  const std::vector<LayerDrift> drifts = testDrift(samples, before_windows);
  for (size_t i = 0; i < report.inputs.size(); ++i) {
    InputDrift& input = report.inputs[i];
    const NibHistogramHead& head = collected[i].histograms[0].head;
    input.seen_min = double(head.min);
    input.seen_max = double(head.max);
    input.outside = clippedShare(collected[i], 0, tensors[i]->ranges[0]);
    input.drift = drifts[i];
  }
  return report;
}

}  // namespace nib::model
