#include "model/quantize/gptq/blocks.h"

#include "model/archive/error.h"
#include "model/quantize/gptq/activations.h"
#include "model/quantize/gptq/memory.h"
#include "model/quantize/module_kinds.h"
#include "model/quantize/selection.h"
#include "model/run/weights.h"

#include <algorithm>
#include <deque>
#include <optional>

namespace nib::model {
namespace {

// The sequences of a step.
struct Step {
  std::vector<uint32_t> ids, positions, cache_rows;
  std::vector<std::vector<uint32_t>> visible;  // by window
  uint32_t tokens() const { return uint32_t(ids.size()); }
};

std::vector<Step> cutSteps(const ModelConfig& config, std::span<const std::vector<uint32_t>> sequences,
                           uint32_t max_tokens) {
  const std::vector<uint32_t> windows = windowsOf(config);
  std::vector<Step> steps;
  for (const std::vector<uint32_t>& sequence : sequences) {
    if (steps.empty() || steps.back().ids.size() + sequence.size() > max_tokens) {
      steps.emplace_back().visible.resize(windows.size());
    }
    Step& step = steps.back();
    const uint32_t first_row = step.tokens(), length = uint32_t(sequence.size());
    for (uint32_t i = 0; i < length; ++i) {
      if (sequence[i] >= config.vocabulary) {
        throw Error("token " + std::to_string(sequence[i]) + " is not in the model's vocabulary of " +
                    std::to_string(config.vocabulary));
      }
      step.ids.push_back(sequence[i]);
      step.positions.push_back(i);
      step.cache_rows.push_back(first_row + i);
      for (size_t w = 0; w < windows.size(); ++w) {
        const uint32_t from = windows[w] != 0 && i + 1 > windows[w] ? i + 1 - windows[w] : 0;
        step.visible[w].insert(step.visible[w].end(), {first_row, length, i, from});
      }
    }
  }
  return steps;
}

uint32_t firstNode(const graph::Graph& graph, const std::string& name) {
  const std::vector<graph::Node>& nodes = graph.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const graph::Node& n) { return n.name == name; });
  if (found == nodes.end()) throw Error("the network has no layer " + quoteText(name));
  return uint32_t(found - nodes.begin());
}

const graph::Value& inputOf(const graph::Graph& graph, const graph::Node& node) {
  for (const graph::Operand& operand : node.operands) {
    if (operand.role == NIB_ROLE_INPUT && operand.part == NIB_PART_COUNT) return graph.value(operand.value);
  }
  throw Error("layer " + node.name + " has no dense input");
}

// Layers with the same input.
struct Group {
  std::vector<std::string> modules;
  uint32_t first = 0;  // node
};

class Blocks {
 public:
  Blocks(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
         std::span<const std::vector<uint32_t>> sequences, const BlocksOptions& options)
      : device_(device),
        view_(view),
        config_(config),
        options_(options),
        decoder_(device, view),
        store_(options.memory_bytes, options.folder) {
    uint32_t longest = 0;
    for (const std::vector<uint32_t>& sequence : sequences) longest = std::max(longest, uint32_t(sequence.size()));
    if (longest == 0) throw Error("the calibration data has no tokens");
    body_.positions = longest;
    chooseStep(longest);
    steps_ = cutSteps(config, sequences, body_.max_tokens);
    for (const Step& step : steps_) all_tokens_ += step.tokens();
    all_tokens_ *= config.layers;
    hidden_.resize(steps_.size());
    saved_.resize(steps_.size());
    inputs_ = {"positions", "cache_rows"};
    for (const uint32_t window : windowsOf(config)) inputs_.push_back(visibleName(window));
  }

  void run() {
    embed();
    for (uint32_t layer = 0; layer < config_.layers; ++layer) runBlock(layer);
  }

 private:
  ModelWeights makeWeights() const {
    return ModelWeights(device_, view_, config_,
                        {.allocate = {}, .in_memory = nullptr, .widen = [](const std::string& module) {
                           return isBlockLinear(module + ".weight");
                         }});
  }

  // As many tokens at a time as fit into device memory.
  void chooseStep(uint32_t longest) {
    const kit::DeviceInfo& info = device_.untimed().info();
    const uint64_t available = deviceBytes(info);
    body_.max_tokens = body_.cache_rows = std::max(longest, options_.step_tokens);
    if (available == UINT64_MAX) return;
    const ModelWeights weights = makeWeights();
    body_.storage = [&](const std::string& module) { return weights.storage(module); };
    for (uint32_t tokens = std::max(longest, options_.step_tokens);; tokens = std::max(longest, tokens / 2)) {
      body_.max_tokens = body_.cache_rows = tokens;
      uint64_t needed = 0;
      for (uint32_t layer = 0; layer < config_.layers; ++layer) {
        const graph::Graph graph = blockGraph(config_, body_, layer);
        uint64_t solver = 0, waiting = 0;
        for (const Group& group : groupsOf(graph, layer)) {
          const uint64_t rows = rowsOf(group), cols = options_.weight(group.modules.front())->cols;
          solver = std::max(solver, solverBytes(rows, cols));
          if (!options_.gptq.sequential) waiting += cols * cols * sizeof(float);
        }
        needed = std::max(needed, graphBytes(graph) + solver + waiting);
      }
      if (needed <= available) break;
      if (tokens == longest) {
        throw Error("GPTQ of a block needs about " + std::to_string(needed / 1'000'000 + 1) +
                    " MB of device memory, and " + info.name + " has " + std::to_string(available / 1'000'000) +
                    ": use another --device, or a shorter --seq-len than " + std::to_string(longest));
      }
    }
    body_.storage = {};
  }

  uint32_t rowsOf(const Group& group) const {
    uint32_t rows = 0;
    for (const std::string& module : group.modules) rows = std::max(rows, options_.weight(module)->rows);
    return rows;
  }

  void embed() {
    ModelWeights weights = makeWeights();
    BodyOptions options = body_;
    options.storage = [&](const std::string& module) { return weights.storage(module); };
    const graph::Graph graph = embeddingGraph(config_, options);
    weights.load(graph);
    const graph::Program program(device_.untimed(), graph, weights.memory(), {&plans_});
    for (size_t i = 0; i < steps_.size(); ++i) {
      program.setInput("ids", steps_[i].ids);
      program.run(steps_[i].tokens());
      readHidden(program, i);
    }
  }

  void readHidden(const graph::Program& program, size_t step) {
    std::vector<float> values(size_t(steps_[step].tokens()) * config_.hidden);
    const kit::Range range = program.range(kHidden);
    device_.download(*range.buffer, range.offset_bytes, values.data(), values.size() * sizeof(float));
    store_.put(hidden_[step], std::as_bytes(std::span(values)));
  }

  void setInputs(const graph::Program& program, size_t step) const {
    const Step& s = steps_[step];
    program.setInput("positions", s.positions);
    program.setInput("cache_rows", s.cache_rows);
    const std::vector<uint32_t> windows = windowsOf(config_);
    for (size_t w = 0; w < windows.size(); ++w) program.setInput(visibleName(windows[w]), s.visible[w]);
  }

  void addRopeAndCache(const graph::Graph& graph, ModelWeights& weights) {
    for (const graph::Value& value : graph.values()) {
      if (value.storage != graph::Storage::kMemory || weights.has(value.name)) continue;
      if (value.name == "rope") {
        const RopeFrequencies frequencies = ropeFrequencies(config_.rope, body_.positions);
        std::vector<float> table(size_t(body_.positions) * config_.rope.rotary_size);
        if (nibFillRopeTable(frequencies.frequency.data(), config_.rope.rotary_size, frequencies.factor, 0,
                             body_.positions, table.data(), nullptr) != NIB_SUCCESS) {
          throw Error("the table of the rotary embedding cannot be made");
        }
        device_.upload(weights.add(value.name, value.size_bytes), 0, table.data(), table.size() * sizeof(float));
      } else if (value.name.ends_with(".cache")) {
        weights.add(value.name, value.size_bytes);
      }
    }
  }

  void runBlock(uint32_t layer) {
    ModelWeights weights = makeWeights();
    BodyOptions body = body_;
    body.storage = [&](const std::string& module) { return weights.storage(module); };
    const graph::Graph graph = blockGraph(config_, body, layer);
    addRopeAndCache(graph, weights);
    weights.load(graph);
    const graph::Program program(device_.untimed(), graph, weights.memory(), {&plans_});
    const std::vector<Group> groups = groupsOf(graph, layer);
    const bool finished = takeFinished(groups, weights);
    std::deque<HessianSum> waiting;  // not sequential: of the groups, which are solved when all inputs are known
    uint32_t begin = 0;
    for (size_t g = 0; g <= groups.size(); ++g) {
      if (finished && g < groups.size()) continue;
      const uint32_t end = g < groups.size() ? groups[g].first : program.nodeCount();
      if (g == groups.size() && !waiting.empty()) {
        for (size_t i = 0; i < groups.size(); ++i) solve(groups[i], waiting[i], weights);
        begin = 0;
      }
      std::optional<HessianSum> hessian;
      if (g < groups.size()) {
        const graph::Value& input = inputOf(graph, graph.nodes()[end]);
        hessian.emplace(device_.untimed(), body_.max_tokens, input.shape.cols, input.shape.type, input.shape.stride,
                        program.range(input.name));
      }
      const std::vector<graph::ValueId> live =
          hessian ? liveValues(graph, program, end, inputs_) : std::vector<graph::ValueId>();
      for (size_t i = 0; i < steps_.size(); ++i) {
        const uint32_t tokens = steps_[i].tokens();
        setInputs(program, i);
        if (begin == 0) {
          std::vector<float> values(size_t(tokens) * config_.hidden);
          store_.get(hidden_[i], std::as_writable_bytes(std::span(values)));
          program.setInput(kBlockInput, values);
        } else {
          saved_[i].restore(store_, device_, graph, program);
        }
        {
          const GptqTimes::Scope scope(options_.gptq.times, GptqPhase::kForward);
          program.runNodes(tokens, begin, end);
        }
        if (!hessian) {
          readHidden(program, i);
          done_tokens_ += tokens;
          if (options_.progress) options_.progress(done_tokens_, all_tokens_);
          continue;
        }
        {
          const GptqTimes::Scope scope(options_.gptq.times, GptqPhase::kHessian);
          device_.run(hessian->binding(), tokens);
        }
        hessian->count(tokens);
        saved_[i].save(store_, device_, graph, program, live, tokens);
      }
      if (hessian && options_.gptq.sequential) solve(groups[g], *hessian, weights);
      if (hessian && !options_.gptq.sequential) waiting.push_back(std::move(*hessian));
      begin = end;
    }
  }

  std::vector<Group> groupsOf(const graph::Graph& graph, uint32_t layer) const {
    std::vector<Group> groups;
    for (const std::vector<std::string>& modules : linearLayers(config_, layer)) {
      Group group;
      for (const std::string& module : modules) {
        if (options_.weight(module)) group.modules.push_back(module);
      }
      if (group.modules.empty()) continue;
      group.first = firstNode(graph, modules.front());
      groups.push_back(std::move(group));
    }
    return groups;
  }

  // Loads the weights of a block that an earlier run has finished.
  bool takeFinished(const std::vector<Group>& groups, ModelWeights& weights) {
    if (!options_.finished) return false;
    std::vector<std::pair<std::string, HostBlob>> blobs;
    for (const Group& group : groups) {
      for (const std::string& module : group.modules) {
        HostBlob blob = options_.finished(module);
        if (blob.empty()) return false;
        blobs.emplace_back(module, std::move(blob));
      }
    }
    for (const auto& [module, blob] : blobs) {
      decodeBlob(device_, *options_.weight(module), blob, weights.range(module));
    }
    return true;
  }

  void solve(const Group& group, const HessianSum& hessian, ModelWeights& weights) {
    if (options_.observe) return options_.observe(group.modules, hessian);
    GptqSolver solver(device_, options_.gptq, hessian, rowsOf(group));
    for (const std::string& module : group.modules) {
      const WeightSpec spec = *options_.weight(module);
      const ModelView::Tensor* tensor = view_.find(module + ".weight");
      const NibType type = *decoder_.typeOf(*tensor);
      decoder_.decode(*tensor, 0, tensor->elements(), solver.source(spec.rows, type));
      GptqLayerReport report;
      report.module = module;
      kit::Range values = weights.range(module);
      values.size_bytes = uint64_t(spec.rows) * spec.cols * sizeof(float);
      const HostBlob blob = solver.solve(spec, type, values, report);
      options_.done(report, blob);
    }
  }

  TimedDevice device_;
  const ModelView& view_;
  const ModelConfig& config_;
  const BlocksOptions& options_;
  Decoder decoder_;
  BodyOptions body_;
  graph::PlanCache plans_;
  std::vector<Step> steps_;
  ActivationStore store_;
  std::vector<ActivationStore::Piece> hidden_;  // by step: the inputs of the next block
  std::vector<Saved> saved_;                    // by step: the values that cross a cut of the block
  std::vector<std::string> inputs_;
  uint64_t all_tokens_ = 0, done_tokens_ = 0;
};

}  // namespace

void quantizeBlocks(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
                    std::span<const std::vector<uint32_t>> sequences, const BlocksOptions& options) {
  Blocks(device, view, config, sequences, options).run();
}

}  // namespace nib::model
