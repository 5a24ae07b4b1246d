#include "model/mixed/divergence.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

constexpr uint32_t kStepTokens = 1024;

}  // namespace

RunnerOptions Divergence::optionsFor(std::span<const std::vector<uint32_t>> sequences, bool changes_head) {
  size_t longest = 2;
  for (const std::vector<uint32_t>& sequence : sequences) longest = std::max(longest, sequence.size());
  RunnerOptions options;
  options.positions = uint32_t(longest);
  options.sequences = uint32_t(std::clamp<size_t>(kStepTokens / longest, 1, std::max<size_t>(sequences.size(), 1)));
  // Hidden states of the reference take the second half of the rows.
  options.max_tokens = 2 * options.sequences * options.positions;
  options.keeps_head = changes_head;
  return options;
}

Divergence::Divergence(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
                       std::span<const std::vector<uint32_t>> sequences, bool changes_head)
    : runner_(device, view, config, optionsFor(sequences, changes_head)) {
  for (size_t first = 0; first < sequences.size(); first += runner_.options().sequences) {
    const size_t count = std::min<size_t>(runner_.options().sequences, sequences.size() - first);
    Step& step = steps_.emplace_back();
    for (const std::vector<uint32_t>& sequence : sequences.subspan(first, count)) {
      const auto base = uint32_t(step.ids.size());
      step.ids.insert(step.ids.end(), sequence.begin(), sequence.end());
      step.lengths.push_back(sequence.size());
      for (uint32_t t = 1; t < sequence.size(); ++t) {
        step.rows.push_back(base + t - 1);
        step.targets.push_back(sequence[t]);
      }
    }
    for (const uint32_t row : step.rows) step.reference_rows.push_back(uint32_t(step.ids.size()) + row);
    tokens_ += step.ids.size();
    run(step);
    step.hidden = runner_.hidden();
  }
}

void Divergence::run(const Step& step) {
  std::vector<Chunk> chunks;
  size_t at = 0;
  for (const size_t length : step.lengths) {
    chunks.push_back({uint32_t(chunks.size()), 0, std::span(step.ids).subspan(at, length)});
    at += length;
  }
  runner_.stepMany(chunks);
}

Divergence::Moved Divergence::measure() {
  Moved moved;
  std::vector<TokenLoss> reference;
  for (const Step& step : steps_) {
    if (step.rows.empty()) continue;
    run(step);
    runner_.setHidden(uint32_t(step.ids.size()), step.hidden);
    const std::vector<TokenLoss> losses =
        runner_.lossesAgainst(runner_, step.rows, step.reference_rows, step.targets, reference);
    for (size_t i = 0; i < losses.size(); ++i) {
      if (!std::isfinite(losses[i].divergence)) throw Error("the model's predictions are not finite");
      moved.kl.add(losses[i].divergence);
      moved.nll_delta.add(double(reference[i].log_probability) - double(losses[i].log_probability));
    }
  }
  if (moved.kl.count() == 0) throw Error("the calibration data predicts no token: give longer sequences");
  return moved;
}

}  // namespace nib::model
