#include "model/eval/speed.h"

#include "model/arch/decoder.h"
#include "model/archive/error.h"
#include "model/quantize/module_kinds.h"
#include "model/quantize/selection.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <numeric>

namespace nib::model {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

Storage storageOf(const WeightType& type) {
  Storage storage;
  if (!type.quantized()) {
    storage.weights.scale_type = nibTypeOf(type.dense).value_or(NIB_TYPE_F32);
    return storage;
  }
  const NibFormatInfo& info = *nibFormatById(type.format);
  const bool groups = info.default_group_size != 0 && (info.granularities & 1u << NIB_GRANULARITY_GROUP) != 0;
  storage.weights.format = type.format;
  storage.weights.granularity = groups ? NIB_GRANULARITY_GROUP : NIB_GRANULARITY_ROW;
  for (const NibType scale : {NIB_TYPE_F16, NIB_TYPE_F32}) {
    if (info.scale_types & 1u << scale) {
      storage.weights.scale_type = scale;
      return storage;
    }
  }
  storage.weights.scale_type = uint32_t(std::countr_zero(info.scale_types));
  return storage;
}

bool isProduct(const graph::Node& node) {
  switch (node.description()->op) {
    case NIB_OP_MATMUL:
    case NIB_OP_INT8_GEMM:
    case NIB_OP_DYNAMIC_GEMM: return true;
    default: return false;
  }
}

class Network {
 public:
  Network(const kit::Device& device, const ModelConfig& config, const SpeedOptions& options)
      : device_(device), config_(config), options_(options) {
    rows_ = std::max(options_.prompt, options_.positions) + 1;
    body_.max_tokens = options_.prompt;
    body_.cache_rows = rows_;
    body_.positions = rows_;
    body_.cache = options_.cache;
    body_.storage = [this](const std::string& module) {
      return storageOf(isBlockLinear(module + ".weight") ? options_.type : WeightType{.dense = Dtype::kF16});
    };
  }

  StepSpeed prefill() {
    graph::Graph graph = bodyGraph(config_, body_);
    const graph::Program program = compile(graph);
    std::vector<uint32_t> ids(options_.prompt);
    for (uint32_t i = 0; i < ids.size(); ++i) ids[i] = i % config_.vocabulary;
    program.setInput("ids", ids);
    setPositions(program, 0, options_.prompt);
    return measure(graph, program, options_.prompt);
  }

  StepSpeed decode() {
    BodyOptions options = body_;
    options.max_tokens = 1;
    graph::Graph graph = decodeGraph(config_, options);
    const graph::Program program = compile(graph);
    const kit::Range ids = program.range(kNextIds);
    device_.upload(*ids.buffer, std::vector<uint32_t>{0}, ids.offset_bytes);
    setPositions(program, options_.positions, 1);
    return measure(graph, program, 1);
  }

  uint64_t weightBytes() const { return weight_bytes_; }
  uint64_t cacheBytes() const { return cache_bytes_; }

 private:
  graph::Program compile(const graph::Graph& graph) {
    for (const graph::Value& value : graph.values()) {
      if (value.storage != graph::Storage::kMemory || memory_.contains(value.name)) continue;
      // The layouts of a weight for one token and for many are the same; sizes may differ by padding.
      const kit::Buffer& buffer = buffers_.emplace_back(device_, value.size_bytes);
      device_.fill(buffer, 0x2c2c2c2c, 0, value.size_bytes);
      memory_.emplace(value.name, &buffer);
      (value.name.ends_with(".cache") ? cache_bytes_ : weight_bytes_) += value.size_bytes;
    }
    std::vector<graph::Memory> memory;
    for (const auto& [name, buffer] : memory_) memory.push_back({name, *buffer});
    return graph::Program(device_, graph, memory, {&plans_});
  }

  void setPositions(const graph::Program& program, uint32_t first, uint32_t count) const {
    std::vector<uint32_t> positions(count);
    std::iota(positions.begin(), positions.end(), first);
    program.setInput("positions", positions);
    program.setInput("cache_rows", positions);
    for (const uint32_t window : windowsOf(config_)) {
      std::vector<uint32_t> visible;
      for (const uint32_t position : positions) {
        const uint32_t seen = position + 1, from = window != 0 && seen > window ? seen - window : 0;
        visible.insert(visible.end(), {0, seen, position, from});
      }
      program.setInput(visibleName(window), visible);
    }
  }

  StepSpeed measure(const graph::Graph& graph, const graph::Program& program, uint32_t tokens) const {
    StepSpeed speed;
    speed.nodes = program.nodeCount();
    speed.barriers = program.barrierCount();
    std::vector<double> seconds;
    // The first steps are slower, and find how many slices fit a submission.
    constexpr uint32_t kWarm = 3, kLeast = 5;
    const Clock::time_point start = Clock::now();
    for (uint32_t i = 0; i < kWarm + kLeast || secondsSince(start) < options_.seconds; ++i) {
      const graph::StepStats stats = program.run(tokens);
      if (i >= kWarm) seconds.push_back(stats.seconds);
      speed.submissions = stats.submissions;
    }
    speed.tokens_per_second = tokens / median(seconds);
    const std::vector<double> nodes = program.nodeSeconds(tokens);
    double products = 0, all = 0;
    std::map<std::string, double> by_op;
    for (size_t i = 0; i < nodes.size(); ++i) {
      all += nodes[i];
      if (isProduct(graph.nodes()[i])) products += nodes[i];
      by_op[nibOpName(graph.nodes()[i].description()->op)] += nodes[i];
    }
    for (const auto& [op, seconds_of_op] : by_op) speed.shares.emplace_back(op, all > 0 ? seconds_of_op / all : 0);
    std::sort(speed.shares.begin(), speed.shares.end(),
              [](const auto& a, const auto& b) { return a.second > b.second; });
    speed.product_share = all > 0 ? products / all : 0;
    measureOverhead(program, tokens, speed);
    return speed;
  }

#if defined(NIB_NO_VULKAN)
  void measureOverhead(const graph::Program&, uint32_t, StepSpeed&) const {}
#else
  void measureOverhead(const graph::Program& program, uint32_t tokens, StepSpeed& speed) const {
    if (device_.isCpu()) return;
    kit::Timer timer(device_);
    if (!timer.onDevice()) return;
    std::vector<double> record, submit;
    for (uint32_t i = 0; i < 9; ++i) {
      double recording = 0;
      const double waited = device_.submit([&](VkCommandBuffer commands) {
        timer.begin(commands);
        const Clock::time_point start = Clock::now();
        program.record(commands, tokens);
        recording = secondsSince(start);
        timer.end(commands);
      });
      record.push_back(recording);
      submit.push_back(std::max(0.0, waited - timer.seconds()));
    }
    speed.record_seconds = median(record);
    speed.submit_seconds = median(submit);
  }
#endif

  kit::Device device_;
  const ModelConfig& config_;
  SpeedOptions options_;
  BodyOptions body_;
  uint32_t rows_ = 0;
  graph::PlanCache plans_;
  std::deque<kit::Buffer> buffers_;
  std::map<std::string, const kit::Buffer*> memory_;
  uint64_t weight_bytes_ = 0, cache_bytes_ = 0;
};

}  // namespace

Speed measureSpeed(const kit::Device& device, const ModelConfig& config, const SpeedOptions& options) {
  SpeedOptions chosen = options;
  if (chosen.positions == 0) chosen.positions = chosen.prompt;
  if (std::max(chosen.prompt, chosen.positions) >= config.max_positions) {
    throw Error("the network has " + std::to_string(config.max_positions) +
                " positions: prompt and positions must be fewer");
  }
  Network network(device, config, chosen);
  Speed speed;
  speed.prefill = network.prefill();
  speed.decode = network.decode();
  speed.weight_bytes = network.weightBytes();
  speed.cache_bytes = network.cacheBytes();
  return speed;
}

}  // namespace nib::model
