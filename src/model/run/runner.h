// Runs a decoder: steps of tokens of one or several sequences, and what is made of their hidden states.
#ifndef NIB_MODEL_RUN_RUNNER_H
#define NIB_MODEL_RUN_RUNNER_H

#include "model/run/weights.h"

#include <nibble/graph.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace nib::model {

// The next tokens of a sequence.
struct Chunk {
  uint32_t sequence = 0;  // its rows of the cache: sequence * positions..
  uint32_t position = 0;  // of the first token; those before it are in the cache
  std::span<const uint32_t> ids;
};

struct RunnerOptions {
  uint32_t max_tokens = 512;  // of a step
  uint32_t sequences = 1;
  uint32_t positions = 0;   // of a sequence; 0 = what config.json says
  uint32_t head_rows = 64;  // rows whose logits are made at a time
  uint32_t cache_type = NIB_TYPE_F32;
};

// What NIB_OP_LOSS gives for a token.
struct TokenLoss {
  float log_sum, log_probability, divergence, agrees;
};

class Runner {
 public:
  // Throws.
  Runner(const TimedDevice& device, const ModelView& view, const ModelConfig& config, const RunnerOptions& options);

  // Runs the chunks' tokens, at most max_tokens together; their hidden states become rows 0.. in the chunks' order.
  // Throws.
  void step(std::span<const Chunk> chunks);
  // The losses of hidden rows `rows` for `targets`; divergence and agreement from the predictions of `reference`, a
  // runner of the same device that has run the same step, if there is one. Throws.
  std::vector<TokenLoss> losses(std::span<const uint32_t> rows, std::span<const uint32_t> targets,
                                Runner* reference = nullptr);
  // The logits of hidden rows. Throws.
  std::vector<float> logits(std::span<const uint32_t> rows);

  const ModelConfig& config() const { return config_; }
  const RunnerOptions& options() const { return options_; }
  graph::Program& body() { return *body_; }
  double seconds() const { return seconds_; }

 private:
  enum class Use { kLosses, kDivergence, kLogits, kCount };
  graph::Program& head(Use use);
  // Makes the logits of at most head_rows hidden rows, and returns where they lie.
  kit::Range makeLogits(std::span<const uint32_t> rows);

  TimedDevice device_;
  const ModelConfig& config_;
  RunnerOptions options_;
  ModelWeights weights_;
  graph::PlanCache plans_;
  std::optional<graph::Program> body_;
  std::optional<graph::Program> heads_[size_t(Use::kCount)];
  double seconds_ = 0;
};

}  // namespace nib::model
#endif
