#include "model/run/runner.h"

#include "model/arch/step_inputs.h"
#include "model/archive/error.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr uint64_t kLogitBytes = 32 << 20;

std::vector<graph::Memory> withHidden(std::vector<graph::Memory> memory, const graph::Program& body) {
  memory.push_back({kHidden, body.range(kHidden)});
  return memory;
}

}  // namespace

Runner::Runner(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
               const RunnerOptions& options)
    : device_(device),
      config_(config),
      options_(options),
      weights_(device, view, config, {.in_memory = options.in_memory}) {
  if (options_.positions == 0) options_.positions = config.max_positions;
  checkLearnedPositions(config, options_.positions);
  if (options_.keeps_head)
    kept_head_.emplace(device, view, config, ModelWeights::Options{.in_memory = options.in_memory});
  checkMemory();
  many_.emplace(makeStage(options_.max_tokens));
  last_ = &*many_;
  for (const Use use : usesOf()) head(use);
  weights_.checkAllUsed();
}

BodyOptions Runner::bodyOptions(uint32_t max_tokens) const {
  return {.max_tokens = max_tokens,
          .cache_rows = options_.sequences * options_.positions,
          .positions = options_.positions,
          .cache = options_.cache,
          .rotate_heads = options_.rotate_heads,
          .storage = [this](const std::string& module) { return weights_.storage(module); }};
}

void Runner::checkMemory() {
  MemoryPlan plan;
  const kit::Device& device = device_.untimed();
  plan.add(graph::memoryNeeds(device, bodyGraph(config_, bodyOptions(options_.max_tokens)), {&plans_}));
  for (const Use use : usesOf()) {
    plan.add(graph::memoryNeeds(device, headGraph(config_, headOptions(options_.max_tokens, use)), {&plans_}), kHidden);
  }
  checkFits(device, plan.bytes());
}

Runner::Stage Runner::makeStage(uint32_t max_tokens) {
  graph::Graph graph = bodyGraph(config_, bodyOptions(max_tokens));
  for (const graph::Value& value : graph.values()) {
    if (value.storage != graph::Storage::kMemory || weights_.has(value.name)) continue;
    if (const std::vector<float> table = ropeTable(config_, value.name, options_.positions); !table.empty()) {
      device_.upload(weights_.add(value.name, value.size_bytes), 0, table.data(), table.size() * sizeof(float));
    } else if (value.name.ends_with(".cache")) {
      weights_.add(value.name, value.size_bytes);
    }
  }
  weights_.load(graph);
  return Stage(device_.untimed(), std::move(graph), weights_, plans_);
}

void Runner::run(std::span<const Chunk> chunks, bool many) {
  StepInputs inputs(config_);
  for (const Chunk& chunk : chunks) {
    const bool image = !chunk.patches.empty();
    const uint32_t length = image ? config_.max_positions : chunk.position + uint32_t(chunk.ids.size());
    if (chunk.sequence >= options_.sequences || length > options_.positions) {
      throw Error("a sequence of " + std::to_string(length) + " tokens exceeds the " +
                  std::to_string(options_.positions) + " positions of the cache");
    }
    const uint32_t first_row = chunk.sequence * options_.positions;
    if (image) {
      inputs.addImage(first_row, chunk.patches);
    } else {
      inputs.add(first_row, chunk.position, chunk.ids);
    }
  }
  const uint32_t tokens = inputs.tokens();
  if (tokens > options_.max_tokens) {
    throw Error("a step of " + std::to_string(tokens) + " tokens exceeds " + std::to_string(options_.max_tokens));
  }
  const bool few = !many && tokens <= options_.sequences && options_.sequences < options_.max_tokens;
  if (few && !few_) few_.emplace(makeStage(options_.sequences));
  last_ = few ? &*few_ : &*many_;
  last_tokens_ = tokens;
  graph::Program& body = last_->body;
  inputs.setEmbedding(body);
  inputs.setBlock(body);
  seconds_ += body.run(tokens).seconds;
}

// ---------------------------------------------------------------------------------------------- heads
uint32_t Runner::headRows(uint32_t max_tokens) const {
  const uint64_t fitting = std::max<uint64_t>(1, kLogitBytes / sizeof(float) / config_.vocabulary);
  const uint64_t most = options_.head_rows != 0 ? options_.head_rows : fitting;
  return uint32_t(std::min<uint64_t>(most, max_tokens));
}

HeadOptions Runner::headOptions(uint32_t max_tokens, Use use) const {
  return {.max_rows = use == Use::kSelect ? 1 : headRows(max_tokens),
          .hidden_rows = max_tokens,
          .losses = use == Use::kLosses || use == Use::kDivergence,
          .reference = use == Use::kDivergence,
          .logits = use == Use::kLogits || use == Use::kLosses,
          .pooled = use == Use::kPooled,
          .storage = [this](const std::string& module) { return weights_.storage(module); }};
}

graph::Program Runner::makeHead(const Stage& stage, const HeadOptions& options, ModelWeights& weights) {
  const graph::Graph graph = headGraph(config_, options);
  weights.load(graph, kHidden);
  graph::Program program(device_.untimed(), graph, withHidden(weights.memory(), stage.body), {&plans_});
  weights.setInputScales(graph, program);
  return program;
}

std::vector<Runner::Use> Runner::usesOf() const {
  std::vector<Use> uses;
  if (config_.has_head) uses.push_back(Use::kLogits);
  if (config_.has_pooler) uses.push_back(Use::kPooled);
  return uses;
}

graph::Program& Runner::head(Use use) {
  if (!(use == Use::kPooled ? config_.has_pooler : config_.has_head)) {
    const HiddenStates states = hiddenStates(config_);
    if (use == Use::kPooled) throw Error("the model has no pooler, " + states.pooler);
    throw Error("the model has no head" +
                (config_.image ? ", " + states.head : " that predicts tokens, " + states.transform));
  }
  std::optional<graph::Program>& program = last_->heads[size_t(use)];
  if (!program) {
    const bool kept = kept_head_ && use == Use::kLosses;
    HeadOptions options = headOptions(last_->graph.maxTokens(), use);
    if (use == Use::kSelect) {
      options.select = last_->select_count;
      options.temperature = last_->temperature;
    }
    program.emplace(makeHead(*last_, options, kept ? *kept_head_ : weights_));
  }
  return *program;
}

graph::Program& Runner::runHead(Use use, std::span<const uint32_t> rows, std::span<const uint32_t> targets) {
  graph::Program& program = head(use);
  program.setInput("rows", rows.data(), rows.size_bytes());
  if (!targets.empty()) program.setInput("targets", targets.data(), targets.size_bytes());
  seconds_ += program.run(uint32_t(rows.size())).seconds;
  return program;
}

template <class T>
void Runner::read(const graph::Program& program, std::string_view value, T* to, size_t count) const {
  const kit::Range range = program.range(value);
  device_.download(*range.buffer, range.offset_bytes, to, count * sizeof(T));
}

std::vector<TokenLoss> Runner::losses(std::span<const uint32_t> rows, std::span<const uint32_t> targets) {
  std::vector<TokenLoss> losses(rows.size());
  const size_t most = headRows(last_->graph.maxTokens());
  for (size_t first = 0; first < rows.size(); first += most) {
    const size_t count = std::min(rows.size() - first, most);
    read(runHead(Use::kLosses, rows.subspan(first, count), targets.subspan(first, count)), "loss", &losses[first],
         count);
  }
  return losses;
}

std::vector<TokenLoss> Runner::lossesAgainst(Runner& reference, std::span<const uint32_t> rows,
                                             std::span<const uint32_t> targets,
                                             std::vector<TokenLoss>& reference_losses) {
  return lossesAgainst(reference, rows, rows, targets, reference_losses);
}

std::vector<TokenLoss> Runner::lossesAgainst(Runner& reference, std::span<const uint32_t> rows,
                                             std::span<const uint32_t> reference_rows,
                                             std::span<const uint32_t> targets,
                                             std::vector<TokenLoss>& reference_losses) {
  if (reference.config_.vocabulary != config_.vocabulary) {
    throw Error("the models have vocabularies of " + std::to_string(config_.vocabulary) + " and " +
                std::to_string(reference.config_.vocabulary) + " tokens");
  }
  if (reference.config_.encoder != config_.encoder) throw Error("an encoder cannot be compared with a decoder");
  const size_t most =
      std::min(headRows(last_->graph.maxTokens()), reference.headRows(reference.last_->graph.maxTokens()));
  NibConvertDesc copy{NIB_OP_CONVERT, sizeof(NibConvertDesc)};
  copy.rows = uint32_t(most);
  copy.cols = config_.vocabulary;
  const std::shared_ptr<const kit::Plan> plan =
      plans_.plan(device_.untimed(), reinterpret_cast<const NibOpDesc*>(&copy), sizeof copy);
  const kit::Binding binding(*plan, kit::Ranges{.weights = {},
                                                .input = reference.head(Use::kLosses).range("logits"),
                                                .output = head(Use::kDivergence).range("reference"),
                                                .aux = {}});
  std::vector<TokenLoss> losses(rows.size());
  reference_losses.resize(rows.size());
  for (size_t first = 0; first < rows.size(); first += most) {
    const size_t count = std::min(rows.size() - first, most);
    const auto some_rows = rows.subspan(first, count), some_targets = targets.subspan(first, count);
    read(reference.runHead(Use::kLosses, reference_rows.subspan(first, count), some_targets), "loss",
         &reference_losses[first], count);
    device_.run(binding, uint32_t(count));
    read(runHead(Use::kDivergence, some_rows, some_targets), "loss", &losses[first], count);
  }
  return losses;
}

std::vector<float> Runner::hidden() const {
  std::vector<float> values(size_t(last_tokens_) * config_.hidden);
  read(last_->body, kHidden, values.data(), values.size());
  return values;
}

void Runner::setHidden(uint32_t first, std::span<const float> values) {
  const kit::Range range = last_->body.range(kHidden);
  const uint64_t offset = uint64_t(first) * config_.hidden * sizeof(float);
  if (offset + values.size_bytes() > range.size_bytes) throw Error("hidden states exceed those of a step");
  device_.upload(*range.buffer, range.offset_bytes + offset, values.data(), values.size_bytes());
}

Candidates Runner::select(uint32_t row, uint32_t count, float temperature) {
  count = std::min({count, uint32_t(NIB_SELECT_MAX_COUNT), config_.vocabulary});
  if (last_->select_count != count || last_->temperature != temperature) {
    last_->heads[size_t(Use::kSelect)].reset();
    last_->select_count = count;
    last_->temperature = temperature;
  }
  const graph::Program& program = runHead(Use::kSelect, {&row, 1});
  Candidates candidates{std::vector<float>(count), std::vector<uint32_t>(count), 0};
  read(program, "select.logits", candidates.logits.data(), count);
  read(program, "select.ids", candidates.ids.data(), count);
  read(program, "select.log_sum", &candidates.log_sum, 1);
  return candidates;
}

std::vector<float> Runner::logits(std::span<const uint32_t> rows) {
  return rowsOf(Use::kLogits, "logits", config_.vocabulary, rows);
}

std::vector<float> Runner::pooled(std::span<const uint32_t> rows) {
  return rowsOf(Use::kPooled, "pooled", config_.hidden, rows);
}

std::vector<float> Runner::rowsOf(Use use, std::string_view value, size_t cols, std::span<const uint32_t> rows) {
  std::vector<float> values(rows.size() * cols);
  const size_t most = headRows(last_->graph.maxTokens());
  for (size_t first = 0; first < rows.size(); first += most) {
    const size_t count = std::min(rows.size() - first, most);
    read(runHead(use, rows.subspan(first, count)), value, &values[first * cols], count * cols);
  }
  return values;
}

DeviceBytes Runner::deviceBytes() const {
  DeviceBytes bytes;
  const auto add_weights = [&bytes](const ModelWeights& weights) {
    for (const graph::Memory& memory : weights.memory()) {
      const kit::Range& range = memory.range;
      const uint64_t size = range.size_bytes != 0 ? range.size_bytes : range.buffer->sizeBytes() - range.offset_bytes;
      (memory.name.ends_with(".cache") ? bytes.cache : bytes.weights) += size;
    }
  };
  add_weights(weights_);
  if (kept_head_) add_weights(*kept_head_);
  for (const std::optional<Stage>* stage : {&many_, &few_}) {
    if (!*stage) continue;
    bytes.arena += (*stage)->body.arenaBytes();
    for (const std::optional<graph::Program>& program : (*stage)->heads) {
      if (program) bytes.arena += program->arenaBytes();
    }
  }
  return bytes;
}

uint64_t Runner::cacheBytesPerToken() const {
  uint64_t bytes = 0;
  for (const graph::Node& node : many_->graph.nodes()) {
    if (node.description()->op != NIB_OP_APPEND) continue;
    NibMemory memory{sizeof(NibMemory)};
    if (nibGetMemory(node.description(), nullptr, &memory) != NIB_SUCCESS) throw Error("the cache has no size");
    const uint32_t rows = reinterpret_cast<const NibAppendDesc*>(node.description())->cache_rows;
    bytes += memory.part[NIB_PART_RESULT].size_bytes / rows;
  }
  return bytes;
}

}  // namespace nib::model
