#include "model/eval/validate.h"

#include "model/host_memory.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nib::model {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr uint64_t kLogitBytes = 32 << 20;  // of a window

uint64_t fileBytes(const LoadedModel& model) {
  uint64_t bytes = 0;
  for (const std::filesystem::path& file : model.view().checkpoint().files()) bytes += std::filesystem::file_size(file);
  return bytes;
}

// Logits of evenly spaced rows, as many as fit.
class LogitComparison {
 public:
  LogitComparison(Runner& model, Runner& reference, Validation& result)
      : model_(model), reference_(reference), result_(result) {}

  void operator()(const ScoredStep& step) {
    const uint64_t fitting = kLogitBytes / sizeof(float) / model_.config().vocabulary;
    const size_t count = size_t(std::clamp<uint64_t>(fitting, 1, step.rows.size()));
    std::vector<uint32_t> rows(count);
    for (size_t i = 0; i < count; ++i) rows[i] = step.rows[i * step.rows.size() / count];
    const std::vector<float> a = model_.logits(rows), b = reference_.logits(rows);
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] == b[i]) continue;  // infinities too, which mask the same token
      const double difference = std::fabs(double(a[i]) - double(b[i]));
      const double counted = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
      result_.max_logit_difference = std::max(result_.max_logit_difference, counted);
    }
    result_.logit_tokens += count;
  }

 private:
  Runner& model_;
  Runner& reference_;
  Validation& result_;
};

}  // namespace

double Validation::perplexityRise() const {
  if (!result) return kUnknown;
  return 100 * (std::exp(result->nll.mean() - result->reference_nll.mean()) - 1);
}

double Validation::meanKl() const { return result ? result->kl.mean() : kUnknown; }

double Validation::topOne() const {
  return result ? 100 * double(result->agreed) / double(result->nll.count()) : kUnknown;
}

Validation validate(const TimedDevice& device, LoadedModel& model, LoadedModel& reference,
                    std::span<const uint32_t> ids, const EvalOptions& options, const Calibration* watched,
                    const std::function<void(uint64_t done, uint64_t all)>& progress) {
  const size_t first = cutWindows(ids.size(), options).front().begin;
  const std::span<const uint32_t> window = ids.subspan(first, options.window);
  Validation v;
  v.file_bytes = fileBytes(model);
  v.reference_file_bytes = fileBytes(reference);
  const RunnerOptions runner_options{.max_tokens = options.window, .sequences = 1, .positions = options.window};
  Runner runner(device, model.view(), model.config(), runner_options);
  v.edges = checkEdges(runner, window);
  v.decode = timeDecode(runner, window);
  v.prefill = timePrefill(runner, window);
  v.host_bytes = peakHostBytes();
  v.device_bytes = runner.deviceBytes();
  if (watched != nullptr && v.edges.nonfinite.empty()) {
    v.drift = measureDrift(runner, *watched, ids, options, [](uint64_t, uint64_t) {});
  }
  Runner reference_runner(device, reference.view(), reference.config(), runner_options);
  EvalOptions observed = options;
  observed.observe = LogitComparison(runner, reference_runner, v);
  try {
    v.result = evaluate(runner, &reference_runner, ids, observed, [&](uint64_t done, uint64_t all) {
      progress(done, all);
      return true;
    });
  } catch (const NonfiniteError& error) {
    if (v.edges.nonfinite.empty()) {
      v.edges.nonfinite = error.value();
      v.edges.nonfinite_input = "the text";
    }
  }
  return v;
}

}  // namespace nib::model
