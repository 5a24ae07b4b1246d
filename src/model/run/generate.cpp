#include "model/run/generate.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cmath>

namespace nib::model {

uint32_t Sampler::candidates() const {
  if (options_.temperature <= 0) return 1;
  return options_.top_k != 0 ? std::min(options_.top_k, uint32_t(NIB_SELECT_MAX_COUNT))
                             : uint32_t(NIB_SELECT_MAX_COUNT);
}

// SplitMix64.
double Sampler::uniform() {
  uint64_t x = state_ += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return double((x ^ (x >> 31)) >> 11) * 0x1p-53;
}

uint32_t Sampler::choose(const Candidates& candidates) {
  if (options_.temperature <= 0) return candidates.ids[0];
  // Probabilities are relative to all tokens, or with top_k to those.
  const size_t count = candidates.ids.size();
  std::vector<double> probability(count);
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    probability[i] = std::exp(double(candidates.logits[i]) - double(candidates.log_sum));
    sum += probability[i];
  }
  const bool of_all = options_.top_k == 0 || options_.top_k > count;
  const double whole = of_all ? std::max(1.0, sum) : sum;
  if (of_all && sum < std::min(options_.top_p, 1 - 1e-6) * whole) lacked_ = true;
  double kept = 0;
  size_t end = 0;
  while (end < count && (end == 0 || kept < options_.top_p * whole)) kept += probability[end++];
  double x = uniform() * kept;
  for (size_t i = 0; i + 1 < end; ++i) {
    x -= probability[i];
    if (x < 0) return candidates.ids[i];
  }
  return candidates.ids[end - 1];
}

Generated generate(Runner& runner, std::span<const uint32_t> prompt, uint32_t tokens, Sampler& sampler,
                   std::span<const uint32_t> stop_ids, const std::function<bool(uint32_t id)>& show) {
  if (prompt.empty()) throw Error("the prompt has no tokens");
  Generated result;
  const double start = runner.seconds();
  uint32_t position = 0, row = 0;
  while (position < prompt.size()) {
    const size_t count = std::min<size_t>(prompt.size() - position, runner.options().max_tokens);
    const Chunk chunk{0, position, prompt.subspan(position, count)};
    runner.step({&chunk, 1});
    position += uint32_t(count);
    row = uint32_t(count) - 1;
  }
  result.prompt_seconds = runner.seconds() - start;
  while (result.ids.size() < tokens) {
    const uint32_t id = sampler.choose(runner.select(row, sampler.candidates(), sampler.temperature()));
    if (std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end()) {
      result.stopped = true;
      break;
    }
    result.ids.push_back(id);
    if (!show(id) || result.ids.size() == tokens) break;
    const Chunk chunk{0, position++, {&id, 1}};
    runner.step({&chunk, 1});
    row = 0;
  }
  result.seconds = runner.seconds() - start - result.prompt_seconds;
  return result;
}

}  // namespace nib::model
