#include "model/run/runner.h"

#include "model/archive/error.h"

#include <algorithm>

namespace nib::model {

Runner::Runner(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
               const RunnerOptions& options)
    : device_(device), config_(config), options_(options), weights_(device, view, config) {
  if (options_.positions == 0) options_.positions = config.max_positions;
  BodyOptions body{.max_tokens = options_.max_tokens,
                   .cache_rows = options_.sequences * options_.positions,
                   .positions = options_.positions,
                   .cache_type = options_.cache_type,
                   .storage = [this](const std::string& module) { return weights_.storage(module); }};
  const graph::Graph graph = bodyGraph(config, body);

  const RopeFrequencies frequencies = ropeFrequencies(config.rope, options_.positions);
  std::vector<float> table(size_t(options_.positions) * config.rope.rotary_size);
  if (nibFillRopeTable(frequencies.frequency.data(), config.rope.rotary_size, frequencies.factor, 0, options_.positions,
                       table.data(), nullptr) != NIB_SUCCESS) {
    throw Error("the table of the rotary embedding cannot be made");
  }
  for (const graph::Value& value : graph.values()) {
    if (value.place != graph::Place::kMemory) continue;
    if (value.name == "rope") {
      device_.upload(weights_.add(value.name, value.size_bytes), 0, table.data(), table.size() * sizeof(float));
    } else if (value.name.ends_with(".cache")) {
      weights_.add(value.name, value.size_bytes);
    }
  }
  weights_.load(graph);
  body_.emplace(device_.untimed(), graph, weights_.memory(), graph::ProgramOptions{&plans_});
  weights_.give(kHidden, body_->range(kHidden));
  head(Use::kLogits);
  weights_.checkAllUsed();
}

void Runner::step(std::span<const Chunk> chunks) {
  std::vector<uint32_t> ids, positions, cache_rows;
  const std::vector<uint32_t> windows = windowsOf(config_);
  std::vector<std::vector<uint32_t>> visible(windows.size());
  for (const Chunk& chunk : chunks) {
    const uint32_t first_row = chunk.sequence * options_.positions;
    const uint32_t length = chunk.position + uint32_t(chunk.ids.size());
    if (chunk.sequence >= options_.sequences || length > options_.positions) {
      throw Error("a sequence of " + std::to_string(length) + " tokens exceeds the " +
                  std::to_string(options_.positions) + " positions of the cache");
    }
    for (uint32_t i = 0; i < chunk.ids.size(); ++i) {
      const uint32_t id = chunk.ids[i], position = chunk.position + i;
      if (id >= config_.vocabulary) {
        throw Error("token " + std::to_string(id) + " is not in the model's vocabulary of " +
                    std::to_string(config_.vocabulary));
      }
      ids.push_back(id);
      positions.push_back(position);
      cache_rows.push_back(first_row + position);
      for (size_t w = 0; w < windows.size(); ++w) {
        const uint32_t first = windows[w] != 0 && position + 1 > windows[w] ? position + 1 - windows[w] : 0;
        visible[w].insert(visible[w].end(), {first_row, length, position, first});
      }
    }
  }
  body_->setInput("ids", ids);
  body_->setInput("positions", positions);
  body_->setInput("cache_rows", cache_rows);
  for (size_t w = 0; w < windows.size(); ++w) body_->setInput(visibleName(windows[w]), visible[w]);
  seconds_ += body_->run(uint32_t(ids.size())).seconds;
}

graph::Program& Runner::head(Use use) {
  std::optional<graph::Program>& program = heads_[size_t(use)];
  if (program) return *program;
  const graph::Graph graph =
      headGraph(config_, {.max_rows = options_.head_rows,
                          .hidden_rows = options_.max_tokens,
                          .losses = use == Use::kLosses || use == Use::kDivergence,
                          .reference = use == Use::kDivergence,
                          .logits = use == Use::kLogits,
                          .storage = [this](const std::string& module) { return weights_.storage(module); }});
  weights_.load(graph);
  program.emplace(device_.untimed(), graph, weights_.memory(), graph::ProgramOptions{&plans_});
  return *program;
}

kit::Range Runner::makeLogits(std::span<const uint32_t> rows) {
  graph::Program& program = head(Use::kLogits);
  program.setInput("rows", rows.data(), rows.size_bytes());
  seconds_ += program.run(uint32_t(rows.size())).seconds;
  return program.range("logits");
}

std::vector<TokenLoss> Runner::losses(std::span<const uint32_t> rows, std::span<const uint32_t> targets,
                                      Runner* reference) {
  graph::Program& program = head(reference != nullptr ? Use::kDivergence : Use::kLosses);
  NibConvertDesc copy{NIB_OP_CONVERT, sizeof(NibConvertDesc)};
  copy.rows = options_.head_rows;
  copy.cols = config_.vocabulary;
  std::vector<TokenLoss> losses(rows.size());
  for (size_t first = 0; first < rows.size(); first += options_.head_rows) {
    const uint32_t count = uint32_t(std::min<size_t>(rows.size() - first, options_.head_rows));
    if (reference != nullptr) {
      const std::shared_ptr<const kit::Plan> plan =
          plans_.plan(device_.untimed(), reinterpret_cast<const NibOpDesc*>(&copy), sizeof copy);
      const kit::Binding binding(*plan, kit::Ranges{.weights = {},
                                                    .input = reference->makeLogits(rows.subspan(first, count)),
                                                    .output = program.range("reference"),
                                                    .aux = {}});
      device_.run(binding, count);
    }
    program.setInput("rows", &rows[first], count * sizeof(uint32_t));
    program.setInput("targets", &targets[first], count * sizeof(uint32_t));
    seconds_ += program.run(count).seconds;
    const kit::Range range = program.range("loss");
    device_.download(*range.buffer, range.offset_bytes, &losses[first], count * sizeof(TokenLoss));
  }
  return losses;
}

std::vector<float> Runner::logits(std::span<const uint32_t> rows) {
  std::vector<float> logits(rows.size() * config_.vocabulary);
  for (size_t first = 0; first < rows.size(); first += options_.head_rows) {
    const size_t count = std::min<size_t>(rows.size() - first, options_.head_rows);
    const kit::Range range = makeLogits(rows.subspan(first, count));
    device_.download(*range.buffer, range.offset_bytes, &logits[first * config_.vocabulary],
                     count * config_.vocabulary * sizeof(float));
  }
  return logits;
}

}  // namespace nib::model
