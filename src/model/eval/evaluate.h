// Perplexity of a model on a text, and the divergence of its predictions from another model's.
//
// plain: the ids are split into windows of `window` tokens that begin `stride` tokens apart; the incomplete tail is
// dropped. A window is run alone, from position 0. It scores the predictions of those of its tokens that no earlier
// window has scored, but not of its first. llamacpp: the protocol of llama-perplexity: adjacent windows, the second
// half of each scored; the first token of each is replaced by the model's BOS, if the tokenizer adds one. Perplexity is
// e to the mean negative log-likelihood. Sums are made in double, in the order of the tokens. Encoders: adjacent
// windows, of which masked tokens are scored (masking.h).
#ifndef NIB_MODEL_EVAL_EVALUATE_H
#define NIB_MODEL_EVAL_EVALUATE_H

#include "model/archive/error.h"
#include "model/eval/masking.h"
#include "model/run/runner.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace nib::model {

enum class Protocol { kPlain, kLlamacpp };

// The predictions of a step, each a hidden row of it and the token that follows, or that a mask covers.
struct ScoredStep {
  std::span<const size_t> ends;  // of the predictions of each window
  std::span<const uint32_t> rows, targets;
  std::span<const TokenLoss> losses, reference_losses;  // the latter is empty without a reference
};

struct EvalOptions {
  uint32_t window = 0;   // tokens
  uint32_t stride = 0;   // 0 = window
  uint32_t windows = 0;  // at most; 0 = all
  Protocol protocol = Protocol::kPlain;
  std::optional<Masking> masking;                       // of an encoder, and only of one
  std::optional<uint32_t> bos;                          // llamacpp: replaces the first token of each window
  std::function<void(const ScoredStep&)> observe = {};  // called while the models hold the step's hidden rows
};

// The predictions of a model are not finite.
class NonfiniteError : public Error {
 public:
  NonfiniteError(const std::string& whose, std::string value)
      : Error("the " + whose + "'s predictions are not finite; the first value that is not is " + value),
        value_(std::move(value)) {}
  const std::string& value() const { return value_; }

 private:
  std::string value_;  // the first that is not finite, in the order of the network
};

// A window of the ids, and which of its tokens are predicted and scored: first_scored..window - 1.
struct Window {
  size_t begin = 0;
  uint32_t first_scored = 1;
};
// Throws if there is no whole window.
std::vector<Window> cutWindows(size_t ids, const EvalOptions& options);

// Sums over scored tokens, for a mean and its standard error.
class Mean {
 public:
  void add(double x) {
    ++count_;
    const double d = x - mean_;
    mean_ += d / double(count_);
    squares_ += d * (x - mean_);
  }
  uint64_t count() const { return count_; }
  double mean() const { return mean_; }
  double error() const;  // of the mean; 0 for fewer than two

 private:
  uint64_t count_ = 0;
  double mean_ = 0, squares_ = 0;
};

struct EvalResult {
  uint64_t windows = 0;
  Mean nll;
  // Against another model.
  Mean reference_nll;
  Mean nll_delta;       // model - reference, token by token
  Mean kl;              // of the reference's prediction from the model's
  uint64_t agreed = 0;  // tokens for which both give the same most likely one
  double seconds = 0;   // of the model alone

  double perplexity() const;
};

// done: tokens scored so far and all of them; returning false stops with the result so far. Throws; NonfiniteError for
// predictions of the model that are not finite, Error for those of the reference.
EvalResult evaluate(Runner& model, Runner* reference, std::span<const uint32_t> ids, const EvalOptions& options,
                    const std::function<bool(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
