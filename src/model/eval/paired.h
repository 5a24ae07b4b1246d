// Two models on the same tokens: paired differences, and whether they may be chance.
#ifndef NIB_MODEL_EVAL_PAIRED_H
#define NIB_MODEL_EVAL_PAIRED_H

#include "model/eval/evaluate.h"
#include "model/eval/statistics.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace nib::model {

// Means of a model's predictions by window: neighbouring tokens are not independent, windows nearly are.
struct WindowMeans {
  EvalResult result;
  std::vector<double> nll;
  std::vector<double> correct;  // share of tokens that were the most likely ones
  std::vector<double> kl;       // from the reference; empty without one
};
// As evaluate() does; windows must not overlap. Throws.
WindowMeans measureWindows(Runner& model, Runner* reference, std::span<const uint32_t> ids, const EvalOptions& options,
                           const std::function<void(uint64_t done, uint64_t all)>& progress);

// B - A, by windows.
struct PairedDifferences {
  MeanTest nll, correct;
  std::optional<MeanTest> kl;
};
// Throws if there are less than two windows.
PairedDifferences pairedDifferences(const WindowMeans& a, const WindowMeans& b);

enum class Better { kA, kB, kUnknown };
// Which of the two has the better mean: by a difference that both tests find significant at 5 %.
// lower: whether the lower mean is the better one.
Better betterOf(const MeanTest& difference, bool lower);

}  // namespace nib::model
#endif
