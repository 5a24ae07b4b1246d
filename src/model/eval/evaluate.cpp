#include "model/eval/evaluate.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nib::model {

double Mean::error() const { return count_ < 2 ? 0 : std::sqrt(squares_ / double(count_ - 1) / double(count_)); }

double EvalResult::perplexity() const { return std::exp(nll.mean()); }

std::vector<Window> cutWindows(size_t ids, const EvalOptions& options) {
  const size_t stride = options.stride == 0 ? options.window : options.stride;
  std::vector<Window> windows;
  for (size_t begin = 0; begin + options.window <= ids; begin += stride) {
    if (options.windows != 0 && windows.size() == options.windows) break;
    Window window{begin, 1};
    if (options.protocol == Protocol::kLlamacpp) {
      window.first_scored = options.window / 2 + 1;
    } else if (begin != 0) {
      window.first_scored = uint32_t(std::max<size_t>(1, options.window - stride));
    }
    windows.push_back(window);
  }
  if (windows.empty()) {
    throw Error("the text has " + std::to_string(ids) + " tokens, less than a window of " +
                std::to_string(options.window) + "; give a longer text or a smaller --window");
  }
  return windows;
}

namespace {

struct Scored {
  std::vector<uint32_t> rows;  // hidden rows that predict
  std::vector<uint32_t> targets;
  std::vector<size_t> ends;  // of windows
};

// The tokens of a window that are predicted.
std::vector<uint32_t> predicted(std::span<const uint32_t> ids, const Window& window, const EvalOptions& options,
                                size_t number) {
  if (options.masking) return maskedPositions(ids.subspan(window.begin, options.window), *options.masking, number);
  std::vector<uint32_t> positions(options.window - window.first_scored);
  std::iota(positions.begin(), positions.end(), window.first_scored);
  return positions;
}

std::string firstNonfinite(Runner& model) {
  const std::string value = model.findNonfinite();
  return value.empty() ? "the logits" : value;
}

}  // namespace

EvalResult evaluate(Runner& model, Runner* reference, std::span<const uint32_t> ids, const EvalOptions& options,
                    const std::function<bool(uint64_t done, uint64_t all)>& progress) {
  const std::vector<Window> windows = cutWindows(ids.size(), options);
  if (model.config().encoder != options.masking.has_value()) throw Error("encoders, and they alone, predict masks");
  uint64_t all = 0;
  for (size_t w = 0; w < windows.size(); ++w) all += predicted(ids, windows[w], options, w).size();
  if (all == 0) throw Error("all tokens of the text are special ones, of which none is predicted");
  const uint32_t together = std::min(model.options().sequences, model.options().max_tokens / options.window);
  if (together == 0) throw Error("a window of " + std::to_string(options.window) + " tokens exceeds a step");
  EvalResult result;
  std::vector<uint32_t> texts;
  for (size_t first = 0; first < windows.size(); first += together) {
    const size_t count = std::min<size_t>(windows.size() - first, together);
    texts.clear();
    Scored scored;
    for (size_t w = 0; w < count; ++w) {
      const Window& window = windows[first + w];
      const uint32_t base = uint32_t(w) * options.window;
      texts.insert(texts.end(), ids.begin() + ptrdiff_t(window.begin),
                   ids.begin() + ptrdiff_t(window.begin + options.window));
      for (const uint32_t t : predicted(ids, window, options, first + w)) {
        // A decoder predicts what follows a token, an encoder what is in the mask's place.
        scored.rows.push_back(base + t - (options.masking ? 0 : 1));
        scored.targets.push_back(texts[base + t]);
        if (options.masking) texts[base + t] = options.masking->token;
      }
      scored.ends.push_back(scored.rows.size());
      if (options.protocol == Protocol::kLlamacpp && options.bos) texts[base] = *options.bos;
    }
    std::vector<Chunk> chunks;
    for (size_t w = 0; w < count; ++w) {
      chunks.push_back({uint32_t(w), 0, std::span(texts).subspan(w * options.window, options.window)});
    }
    const double before = model.seconds();
    model.step(chunks);
    std::vector<TokenLoss> losses, reference_losses;
    if (reference != nullptr) {
      reference->step(chunks);
      losses = model.lossesAgainst(*reference, scored.rows, scored.targets, reference_losses);
    } else {
      losses = model.losses(scored.rows, scored.targets);
    }
    result.seconds += model.seconds() - before;
    for (size_t i = 0; i < losses.size(); ++i) {
      const double nll = -double(losses[i].log_probability);
      if (!std::isfinite(nll)) {
        throw NonfiniteError("model", firstNonfinite(model));
      }
      result.nll.add(nll);
      if (reference == nullptr) continue;
      const double reference_nll = -double(reference_losses[i].log_probability);
      if (!std::isfinite(reference_nll)) {
        throw Error(std::string(NonfiniteError("reference", firstNonfinite(*reference)).what()));
      }
      result.reference_nll.add(reference_nll);
      result.nll_delta.add(nll - reference_nll);
      result.kl.add(losses[i].divergence);
      result.agreed += losses[i].agrees != 0 ? 1 : 0;
    }
    if (options.observe) options.observe({scored.ends, scored.rows, scored.targets, losses, reference_losses});
    result.windows += count;
    if (progress && !progress(result.nll.count(), all)) break;
  }
  return result;
}

}  // namespace nib::model
