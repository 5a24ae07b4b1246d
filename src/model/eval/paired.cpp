#include "model/eval/paired.h"

#include "model/archive/error.h"

namespace nib::model {
namespace {

constexpr double kSignificant = 0.05;

MeanTest testDifference(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences(a.size());
  for (size_t i = 0; i < a.size(); ++i) differences[i] = b[i] - a[i];
  return testMean(differences);
}

}  // namespace

WindowMeans measureWindows(Runner& model, Runner* reference, std::span<const uint32_t> ids, const EvalOptions& options,
                           const std::function<void(uint64_t done, uint64_t all)>& progress) {
  WindowMeans means;
  EvalOptions observed = options;
  observed.observe = [&](const ScoredStep& step) {
    // With a reference, `agrees` tells of its choice, not of the token that follows.
    std::vector<TokenLoss> alone;
    if (reference != nullptr) alone = model.losses(step.rows, step.targets);
    const std::span<const TokenLoss> own = reference != nullptr ? std::span<const TokenLoss>(alone) : step.losses;
    size_t first = 0;
    for (const size_t end : step.ends) {
      // A window of special tokens alone predicts none.
      const size_t tokens = end - first;
      if (tokens == 0) continue;
      double nll = 0, correct = 0, kl = 0;
      for (size_t i = first; i < end; ++i) {
        nll -= double(step.losses[i].log_probability);
        correct += own[i].agrees != 0 ? 1 : 0;
        kl += double(step.losses[i].divergence);
      }
      means.nll.push_back(nll / double(tokens));
      means.correct.push_back(correct / double(tokens));
      if (reference != nullptr) means.kl.push_back(kl / double(tokens));
      first = end;
    }
  };
  means.result = evaluate(model, reference, ids, observed, [&](uint64_t done, uint64_t all) {
    progress(done, all);
    return true;
  });
  return means;
}

PairedDifferences pairedDifferences(const WindowMeans& a, const WindowMeans& b) {
  if (a.nll.size() < 2) throw Error("one window says nothing of chance; give a longer text or a smaller --window");
  PairedDifferences differences{testDifference(a.nll, b.nll), testDifference(a.correct, b.correct), {}};
  if (!a.kl.empty()) differences.kl = testDifference(a.kl, b.kl);
  return differences;
}

Better betterOf(const MeanTest& difference, bool lower) {
  if (difference.p_t >= kSignificant || difference.p_bootstrap >= kSignificant) return Better::kUnknown;
  return (difference.mean < 0) == lower ? Better::kB : Better::kA;
}

}  // namespace nib::model
