#include "model/blocks/walk.h"

#include "model/arch/step_inputs.h"
#include "model/archive/error.h"
#include "model/blocks/activations.h"
#include "model/blocks/memory.h"
#include "model/quantize/module_kinds.h"

#include <algorithm>
#include <deque>
#include <optional>

namespace nib::model {
namespace {

std::vector<StepInputs> cutSteps(const ModelConfig& config, std::span<const std::vector<uint32_t>> sequences,
                                 uint32_t max_tokens) {
  std::vector<StepInputs> steps;
  for (const std::vector<uint32_t>& sequence : sequences) {
    if (steps.empty() || steps.back().tokens() + sequence.size() > max_tokens) steps.emplace_back(config);
    steps.back().add(steps.back().tokens(), 0, sequence);
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

class Walk {
 public:
  Walk(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
       std::span<const std::vector<uint32_t>> sequences, const WalkOptions& options, BlockVisitor& visitor)
      : device_(device),
        view_(view),
        config_(config),
        options_(options),
        visitor_(visitor),
        store_(options.memory_bytes, options.folder) {
    uint32_t longest = 0;
    for (const std::vector<uint32_t>& sequence : sequences) longest = std::max(longest, uint32_t(sequence.size()));
    if (longest == 0) throw Error("the calibration data has no tokens");
    body_.positions = longest;
    checkLearnedPositions(config, longest);
    chooseStep(longest);
    steps_ = cutSteps(config, sequences, body_.max_tokens);
    for (const StepInputs& step : steps_) all_tokens_ += step.tokens();
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
        uint64_t work = 0, waiting = 0;
        for (const LayerGroup& group : groupsOf(graph, layer)) {
          const uint64_t cols = inputOf(graph, graph.nodes()[group.first]).shape.cols;
          work = std::max(work, visitor_.workBytes(group, uint32_t(cols)));
          if (options_.together) waiting += cols * cols * sizeof(float);
        }
        needed = std::max(needed, graphBytes(graph) + work + waiting);
      }
      if (needed <= available) break;
      if (tokens == longest) {
        throw Error(options_.purpose + " of a block needs about " + std::to_string(needed / 1'000'000 + 1) +
                    " MB of device memory, and " + info.name + " has " + std::to_string(available / 1'000'000) +
                    ": use another --device, or a shorter --seq-len than " + std::to_string(longest));
      }
    }
    body_.storage = {};
  }

  void embed() {
    ModelWeights weights = makeWeights();
    BodyOptions options = body_;
    options.storage = [&](const std::string& module) { return weights.storage(module); };
    const graph::Graph graph = embeddingGraph(config_, options);
    weights.load(graph);
    const graph::Program program(device_.untimed(), graph, weights.memory(), {&plans_});
    for (size_t i = 0; i < steps_.size(); ++i) {
      steps_[i].setEmbedding(program);
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

  void setInputs(const graph::Program& program, size_t step) const { steps_[step].setBlock(program); }

  void addRopeAndCache(const graph::Graph& graph, ModelWeights& weights) {
    for (const graph::Value& value : graph.values()) {
      if (value.storage != graph::Storage::kMemory || weights.has(value.name)) continue;
      if (const std::vector<float> table = ropeTable(config_, value.name, body_.positions); !table.empty()) {
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
    const Block block{graph, program, weights};
    std::vector<LayerGroup> groups = groupsOf(graph, layer);
    if (visitor_.finished(groups, weights)) groups.clear();
    if (options_.together) {
      visitTogether(block, groups);
    } else {
      visitInTurn(block, groups);
    }
  }

  struct Block {
    const graph::Graph& graph;
    const graph::Program& program;
    ModelWeights& weights;
  };

  // The sums over a group's inputs, and the value that they are of.
  struct Sums {
    Sums(const TimedDevice& device, const Block& block, const LayerGroup& group, uint32_t max_tokens,
         const ColumnStats& none)
        : input(inputOf(block.graph, block.graph.nodes()[group.first])),
          hessian(device.untimed(), max_tokens, input.shape.cols, input.shape.type, input.shape.stride,
                  block.program.range(input.name)),
          columns(none) {}
    const graph::Value& input;
    HessianSum hessian;
    ColumnStats columns;
  };

  ColumnStats noStats() const { return {options_.samples, all_tokens_ / config_.layers}; }

  void begin(const Block& block, size_t step) {
    std::vector<float> values(size_t(steps_[step].tokens()) * config_.hidden);
    store_.get(hidden_[step], std::as_writable_bytes(std::span(values)));
    block.program.setInput(kBlockInput, values);
  }

  void forward(const Block& block, size_t step, uint32_t begin, uint32_t end) {
    const BlockTimes::Scope scope(options_.times, BlockPhase::kForward);
    block.program.runNodes(steps_[step].tokens(), begin, end);
  }

  void end(const Block& block, size_t step) {
    readHidden(block.program, step);
    done_tokens_ += steps_[step].tokens();
    if (options_.progress) options_.progress(done_tokens_, all_tokens_);
  }

  void add(const Block& block, size_t step, Sums& sums) {
    const BlockTimes::Scope scope(options_.times, BlockPhase::kHessian);
    const uint32_t tokens = steps_[step].tokens();
    if (options_.hessian) {
      device_.run(sums.hessian.binding(), tokens);
      sums.hessian.count(tokens);
    }
    if (options_.column_stats) sums.columns.add(device_, sums.input, block.program.range(sums.input.name), tokens);
  }

  // Cuts the block in front of every group: all steps run up to a cut, and go on from it when the group was visited.
  void visitInTurn(const Block& block, const std::vector<LayerGroup>& groups) {
    uint32_t from = 0;
    for (size_t g = 0; g <= groups.size(); ++g) {
      const bool last = g == groups.size();
      const uint32_t to = last ? block.program.nodeCount() : groups[g].first;
      std::optional<Sums> sums;
      std::vector<graph::ValueId> live;
      if (!last) {
        sums.emplace(device_, block, groups[g], body_.max_tokens, noStats());
        live = liveValues(block.graph, block.program, to, inputs_);
      }
      for (size_t i = 0; i < steps_.size(); ++i) {
        setInputs(block.program, i);
        if (from == 0) {
          begin(block, i);
        } else {
          saved_[i].restore(store_, device_, block.graph, block.program);
        }
        forward(block, i, from, to);
        if (last) {
          end(block, i);
          continue;
        }
        add(block, i, *sums);
        saved_[i].save(store_, device_, block.graph, block.program, live, steps_[i].tokens());
      }
      if (sums) visitor_.visit(groups[g], {sums->hessian, sums->columns, {}}, block.weights);
      from = to;
    }
  }

  // Runs the first step up to a layer, and reads what it makes.
  std::vector<float> replay(const Block& block, const std::string& module) {
    const uint32_t node = firstNode(block.graph, module);
    setInputs(block.program, 0);
    begin(block, 0);
    forward(block, 0, 0, node + 1);
    for (const graph::Operand& operand : block.graph.nodes()[node].operands) {
      if (!operand.writes) continue;
      const graph::Value& value = block.graph.value(operand.value);
      std::vector<float> values(size_t(steps_[0].tokens()) * value.shape.stride);
      const kit::Range range = block.program.range(value.name);
      device_.download(*range.buffer, range.offset_bytes, values.data(), values.size() * sizeof(float));
      return values;
    }
    throw Error("layer " + module + " has no output");
  }

  // Runs the whole block for all sums, and once more if visits change what comes out of it.
  void visitTogether(const Block& block, const std::vector<LayerGroup>& groups) {
    const uint32_t nodes = block.program.nodeCount();
    const bool again = options_.changes_weights && !groups.empty();
    std::deque<Sums> sums;
    for (const LayerGroup& group : groups) sums.emplace_back(device_, block, group, body_.max_tokens, noStats());
    for (size_t i = 0; i < steps_.size(); ++i) {
      setInputs(block.program, i);
      begin(block, i);
      uint32_t from = 0;
      for (size_t g = 0; g < groups.size(); ++g) {
        forward(block, i, from, groups[g].first);
        add(block, i, sums[g]);
        from = groups[g].first;
      }
      if (again) continue;
      forward(block, i, from, nodes);
      end(block, i);
    }
    const auto outputOf = [&](const std::string& module) { return replay(block, module); };
    for (size_t g = 0; g < groups.size(); ++g) {
      visitor_.visit(groups[g], {sums[g].hessian, sums[g].columns, outputOf}, block.weights);
    }
    for (size_t i = 0; i < steps_.size() && again; ++i) {
      setInputs(block.program, i);
      begin(block, i);
      forward(block, i, 0, nodes);
      end(block, i);
    }
  }

  std::vector<LayerGroup> groupsOf(const graph::Graph& graph, uint32_t layer) const {
    std::vector<LayerGroup> groups;
    for (const std::vector<std::string>& modules : linearLayers(config_, layer)) {
      LayerGroup group{layer, {}, 0};
      for (const std::string& module : modules) {
        if (visitor_.wants(module)) group.modules.push_back(module);
      }
      if (group.modules.empty()) continue;
      group.first = firstNode(graph, modules.front());
      groups.push_back(std::move(group));
    }
    return groups;
  }

  TimedDevice device_;
  const ModelView& view_;
  const ModelConfig& config_;
  const WalkOptions& options_;
  BlockVisitor& visitor_;
  BodyOptions body_;
  graph::PlanCache plans_;
  std::vector<StepInputs> steps_;
  ActivationStore store_;
  std::vector<ActivationStore::Piece> hidden_;  // by step: the inputs of the next block
  std::vector<Saved> saved_;                    // by step: the values that cross a cut of the block
  std::vector<std::string> inputs_;
  uint64_t all_tokens_ = 0, done_tokens_ = 0;
};

}  // namespace

void walkBlocks(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
                std::span<const std::vector<uint32_t>> sequences, const WalkOptions& options, BlockVisitor& visitor) {
  Walk(device, view, config, sequences, options, visitor).run();
}

}  // namespace nib::model
