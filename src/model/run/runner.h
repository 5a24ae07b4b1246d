// Runs a decoder: steps of tokens of one or several sequences, and losses, choices or logits from their hidden states.
#ifndef NIB_MODEL_RUN_RUNNER_H
#define NIB_MODEL_RUN_RUNNER_H

#include "model/run/memory_plan.h"
#include "model/run/weights.h"

#include <nibble/graph.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

// The next tokens of a sequence, or an image.
struct Chunk {
  uint32_t sequence = 0;  // its rows of the cache: sequence * positions..
  uint32_t position = 0;  // of the first token; those before it are in the cache
  std::span<const uint32_t> ids = {};
  std::span<const float> patches = {};  // of an image (StepInputs::addImage)
};

struct RunnerOptions {
  uint32_t max_tokens = 512;  // of a step
  uint32_t sequences = 1;
  uint32_t positions = 0;               // of a sequence; 0 = what config.json says
  uint32_t head_rows = 0;               // rows whose logits are made at a time; 0 = as many as have 32 MB of logits
  NibWeights cache{};                   // of keys and values, dense or quantized (cache_type.h)
  bool rotate_heads = false;            // of queries and keys, so that keys lose less when they are quantized
  const InMemory* in_memory = nullptr;  // quantizes the weights of a dense checkpoint; must outlive the runner
  // losses() has the head in weights of its own, so that this runner may be the reference of lossesAgainst() while the
  // weights of its other head change.
  bool keeps_head = false;
};

// The result of NIB_OP_LOSS for a token.
struct TokenLoss {
  float log_sum, log_probability, divergence, agrees;
};

// The result of NIB_OP_SELECT for a token: the most likely next ones, in descending order.
struct Candidates {
  std::vector<float> logits;  // divided by the temperature
  std::vector<uint32_t> ids;
  float log_sum = 0;  // of the whole vocabulary
};

class Runner {
 public:
  // Throws; before weights are loaded if the device lacks memory for steps of max_tokens and their logits.
  Runner(const TimedDevice& device, const ModelView& view, const ModelConfig& config, const RunnerOptions& options);

  // Runs the chunks' tokens, at most max_tokens together; their hidden states become rows 0.. in the chunks' order.
  // Throws.
  void step(std::span<const Chunk> chunks) { run(chunks, false); }
  // The same, always through body(), where taps are.
  void stepMany(std::span<const Chunk> chunks) { run(chunks, true); }
  // The losses of hidden rows `rows` for `targets`. Throws.
  std::vector<TokenLoss> losses(std::span<const uint32_t> rows, std::span<const uint32_t> targets);
  // The same, with divergence and agreement from the predictions of `reference`: a runner of the same device that has
  // run the same step. reference_losses: the result of the reference's losses(). Throws.
  std::vector<TokenLoss> lossesAgainst(Runner& reference, std::span<const uint32_t> rows,
                                       std::span<const uint32_t> targets, std::vector<TokenLoss>& reference_losses);
  // The same, with the reference's predictions from its hidden rows `reference_rows`. The reference may be this runner:
  // setHidden() gives it rows of another step. Throws.
  std::vector<TokenLoss> lossesAgainst(Runner& reference, std::span<const uint32_t> rows,
                                       std::span<const uint32_t> reference_rows, std::span<const uint32_t> targets,
                                       std::vector<TokenLoss>& reference_losses);
  // The hidden states of the last step's tokens. Throws.
  std::vector<float> hidden() const;
  // Overwrites hidden rows from `first` on, also those beyond the last step's tokens, until the next step. Throws.
  void setHidden(uint32_t first, std::span<const float> values);
  // The `count` most likely next tokens, at most NIB_SELECT_MAX_COUNT, after the token of a hidden row. Throws.
  Candidates select(uint32_t row, uint32_t count, float temperature = 1);
  // The results of an encoder's pooler for hidden rows. Throws.
  std::vector<float> pooled(std::span<const uint32_t> rows);
  // The logits of hidden rows. Throws.
  std::vector<float> logits(std::span<const uint32_t> rows);
  // The first value of the last step, in the order of the network, that is not finite; "" if all are. Runs the step
  // again. Throws.
  std::string findNonfinite();

  const ModelConfig& config() const { return config_; }
  const RunnerOptions& options() const { return options_; }
  const kit::Device& device() const { return device_.untimed(); }
  // The network of steps of many tokens, and its program.
  const graph::Graph& graph() const { return many_->graph; }
  graph::Program& body() { return many_->body; }
  const graph::Program& body() const { return many_->body; }
  double seconds() const { return seconds_; }
  DeviceBytes deviceBytes() const;
  // Bytes of a token's keys and values in all layers.
  uint64_t cacheBytesPerToken() const;
  const ModelWeights& weights() const { return weights_; }

 private:
  enum class Use { kLosses, kDivergence, kLogits, kSelect, kPooled, kCount };
  // Programs for steps of up to max_tokens tokens.
  struct Stage {
    Stage(const kit::Device& device, graph::Graph body_graph, const ModelWeights& weights, graph::PlanCache& plans)
        : graph(std::move(body_graph)), body(device, graph, weights.memory(), {&plans}) {
      weights.setInputScales(graph, body);
    }
    graph::Graph graph;
    graph::Program body;
    std::optional<graph::Program> heads[size_t(Use::kCount)];
    uint32_t select_count = 0;  // of the program in `heads`
    float temperature = 1;
  };
  BodyOptions bodyOptions(uint32_t max_tokens) const;
  HeadOptions headOptions(uint32_t max_tokens, Use use) const;
  void checkMemory();
  Stage makeStage(uint32_t max_tokens);
  void run(std::span<const Chunk> chunks, bool many);
  graph::Program makeHead(const Stage& stage, const HeadOptions& options, ModelWeights& weights);
  // The heads that the model has.
  std::vector<Use> usesOf() const;
  graph::Program& head(Use use);
  // Runs a head for at most head_rows rows.
  graph::Program& runHead(Use use, std::span<const uint32_t> rows, std::span<const uint32_t> targets = {});
  std::vector<float> rowsOf(Use use, std::string_view value, size_t cols, std::span<const uint32_t> rows);
  template <class T>
  void read(const graph::Program& program, std::string_view value, T* to, size_t count) const;
  uint32_t headRows(uint32_t max_tokens) const;

  TimedDevice device_;
  const ModelConfig& config_;
  RunnerOptions options_;
  ModelWeights weights_;
  std::optional<ModelWeights> kept_head_;
  graph::PlanCache plans_;
  // Steps of many tokens, and of one token of each sequence.
  std::optional<Stage> many_, few_;
  Stage* last_ = nullptr;  // of the last step
  uint32_t last_tokens_ = 0;
  double seconds_ = 0;
};

}  // namespace nib::model
#endif
