// Compiles a graph: plans, places values, binds, finds barriers. Runs steps.
#include <nibble/graph.h>

#include "graph/hazards.h"
#include "graph/layout.h"
#include "graph/record.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>

namespace nib::graph {

// ---------------------------------------------------------------------------------------------- plans
struct PlanCache::Entries {
  std::map<std::string, std::shared_ptr<const kit::Plan>, std::less<>> plans;
};

PlanCache::PlanCache() : entries_(std::make_unique<Entries>()) {}
PlanCache::~PlanCache() = default;
size_t PlanCache::size() const { return entries_->plans.size(); }

std::shared_ptr<const kit::Plan> PlanCache::plan(const kit::Device& device, const NibOpDesc* desc, size_t desc_bytes) {
  std::shared_ptr<const kit::Plan>& plan =
      entries_->plans[std::string(reinterpret_cast<const char*>(desc), desc_bytes)];
  if (!plan) plan = std::make_shared<kit::Plan>(device, desc, desc_bytes);
  return plan;
}

// -------------------------------------------------------------------------------------------- program
struct Program::State {
  struct ValueTap {
    ValueId value;
    Tap run;
  };
  State(const kit::Device& on, const Graph& of) : device(on), graph(of), commands(on) {}

  kit::Device device;
  Graph graph;
  Commands commands;
  std::vector<std::shared_ptr<const kit::Plan>> plans;  // by node
  std::vector<kit::Binding> bindings;                   // by node
  std::vector<bool> barrier;                            // by node: a barrier comes before it
  std::vector<std::vector<ValueTap>> taps;              // by node: called after it
  Layout layout;
  kit::Buffer arena;
  kit::Buffer staging;             // inputs, where the arena is not mapped
  std::vector<kit::Range> memory;  // by value: kMemory only
  uint32_t slices_per_submission = 64;

  kit::Range rangeOf(ValueId id) const;
  void bindNode(uint32_t n);
  void findBarriers();
};

kit::Range Program::State::rangeOf(ValueId id) const {
  const Layout::Slot& slot = layout.values[id];
  if (graph.value(id).storage == Storage::kMemory) return memory[slot.owner];
  return {arena, slot.offset_bytes, slot.size_bytes};
}

void Program::State::bindNode(uint32_t n) {
  const Node& node = graph.nodes()[n];
  const NibMemory& needs = plans[n]->memory();
  kit::Ranges ranges;
  kit::Range* const role_range[NIB_ROLE_COUNT] = {&ranges.weights, &ranges.input, &ranges.output, &ranges.aux};
  std::vector<kit::PartOffset> parts;
  for (const Operand& operand : node.operands) {
    const kit::Range range = rangeOf(operand.value);
    kit::Range& role = *role_range[operand.role];
    if (operand.part == NIB_PART_COUNT) {
      role = {*range.buffer, range.offset_bytes + operand.offset_bytes, needs.range[operand.role].size_bytes};
    } else {
      // The whole arena, because the parts may be anywhere in it.
      if (graph.value(operand.value).storage == Storage::kMemory) {
        throw kit::Error("graph: node " + node.name + " takes a part from " + graph.value(operand.value).name +
                         ", which is not in the arena");
      }
      role = {arena, 0, layout.arena_bytes};
      parts.push_back({operand.part, range.offset_bytes + operand.offset_bytes});
    }
  }
  if (needs.range[NIB_ROLE_AUX].size_bytes != 0) {
    ranges.aux = {arena, layout.aux_offset[n], needs.range[NIB_ROLE_AUX].size_bytes};
  }
  try {
    bindings.emplace_back(*plans[n], ranges, parts);
  } catch (const kit::Error& error) {
    throw kit::Error("graph: node " + node.name + ": " + error.what(), error.result());
  }
}

void Program::State::findBarriers() {
  Hazards hazards;
  barrier.resize(graph.nodes().size());
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    const NibMemory& needs = plans[n]->memory();
    std::vector<Touch> touches;
    for (const Operand& operand : node.operands) {
      const Layout::Slot& slot = layout.values[operand.value];
      const uint64_t bytes =
          operand.part == NIB_PART_COUNT ? needs.range[operand.role].size_bytes : needs.part[operand.part].size_bytes;
      const bool in_memory = graph.value(operand.value).storage == Storage::kMemory;
      const uint64_t begin = (in_memory ? 0 : slot.offset_bytes) + operand.offset_bytes;
      touches.push_back({in_memory ? slot.owner + 1 : 0, begin, begin + bytes, operand.writes});
    }
    if (needs.range[NIB_ROLE_AUX].size_bytes != 0) {
      touches.push_back({0, layout.aux_offset[n], layout.aux_offset[n] + needs.range[NIB_ROLE_AUX].size_bytes, true});
    }
    barrier[n] = hazards.add(touches);
  }
}

namespace {

struct Planned {
  std::vector<std::shared_ptr<const kit::Plan>> plans;  // by node
  Layout layout;
};

Planned planNodes(const kit::Device& device, const Graph& graph, const ProgramOptions& options) {
  PlanCache own;
  PlanCache& cache = options.plans != nullptr ? *options.plans : own;
  Planned planned;
  std::vector<NodeNeeds> needs;
  for (const Node& node : graph.nodes()) {
    try {
      planned.plans.push_back(cache.plan(device, node.description(), node.desc_bytes));
    } catch (const kit::Error& error) {
      throw kit::Error("graph: node " + node.name + ": " + error.what(), error.result());
    }
    const NibMemory& plan = planned.plans.back()->memory();
    NodeNeeds& need = needs.emplace_back();
    for (const Operand& operand : node.operands) {
      need.operand_bytes.push_back(operand.part == NIB_PART_COUNT ? plan.range[operand.role].size_bytes
                                                                  : plan.part[operand.part].size_bytes);
    }
    need.aux_bytes = plan.range[NIB_ROLE_AUX].size_bytes;
  }
  planned.layout = layOut(graph, needs);
  return planned;
}

// Whether a value has memory of its own that the caller gives.
bool ownsMemory(const Graph& graph, const Layout& layout, ValueId v) {
  return graph.value(v).storage == Storage::kMemory && layout.values[v].owner == v;
}

}  // namespace

MemoryNeeds memoryNeeds(const kit::Device& device, const Graph& graph, const ProgramOptions& options) {
  const Layout layout = planNodes(device, graph, options).layout;
  MemoryNeeds needs;
  for (ValueId v = 0; v < graph.values().size(); ++v) {
    if (ownsMemory(graph, layout, v)) needs.memory.push_back({graph.value(v).name, layout.values[v].size_bytes});
  }
  needs.arena_bytes = layout.arena_bytes;
  return needs;
}

Program::Program(const kit::Device& device, const Graph& graph, std::span<const Memory> memory,
                 const ProgramOptions& options)
    : state_(std::make_unique<State>(device, graph)) {
  State& s = *state_;
  Planned planned = planNodes(device, graph, options);
  s.plans = std::move(planned.plans);
  s.layout = std::move(planned.layout);
  s.memory.resize(graph.values().size());
  for (ValueId v = 0; v < graph.values().size(); ++v) {
    const Value& value = graph.value(v);
    if (!ownsMemory(graph, s.layout, v)) continue;
    const auto given =
        std::find_if(memory.begin(), memory.end(), [&](const Memory& m) { return m.name == value.name; });
    if (given == memory.end() || given->range.buffer == nullptr) {
      throw kit::Error("graph: no memory is given for " + value.name);
    }
    kit::Range range = given->range;
    if (range.size_bytes == 0) range.size_bytes = range.buffer->sizeBytes() - range.offset_bytes;
    if (range.size_bytes < s.layout.values[v].size_bytes) {
      throw kit::Error("graph: the memory of " + value.name + " has " + std::to_string(range.size_bytes) +
                       " bytes, its nodes need " + std::to_string(s.layout.values[v].size_bytes));
    }
    s.memory[v] = range;
  }
  s.arena = kit::Buffer(device, s.layout.arena_bytes);
  if (inputBytes() != 0 && s.arena.mapped() == nullptr) {
    s.staging = kit::Buffer(device, inputBytes(), kit::Memory::kHost);
  }
  s.taps.resize(graph.nodes().size());
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) s.bindNode(n);
  s.findBarriers();
}

Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

uint32_t Program::maxTokens() const { return state_->graph.maxTokens(); }
uint64_t Program::arenaBytes() const { return state_->layout.arena_bytes; }
uint32_t Program::nodeCount() const { return uint32_t(state_->graph.nodes().size()); }
uint32_t Program::barrierCount() const {
  return uint32_t(std::count(state_->barrier.begin(), state_->barrier.end(), true));
}
uint64_t Program::inputBytes() const { return state_->layout.input_end - state_->layout.input_begin; }

kit::Range Program::range(std::string_view name) const {
  const ValueId id = state_->graph.find(name);
  if (id == kNoValue) throw kit::Error("graph: there is no value named " + std::string(name));
  return state_->rangeOf(id);
}

uint64_t Program::inputOffset(std::string_view name) const {
  const ValueId id = state_->graph.find(name);
  if (id == kNoValue || state_->graph.value(id).storage != Storage::kInput) {
    throw kit::Error("graph: there is no input named " + std::string(name));
  }
  return state_->layout.values[id].offset_bytes - state_->layout.input_begin;
}

void Program::tap(std::string_view name, Tap tap) {
  const ValueId id = state_->graph.find(name);
  const std::vector<Node>& nodes = state_->graph.nodes();
  for (uint32_t n = 0; n < nodes.size(); ++n) {
    for (const Operand& operand : nodes[n].operands) {
      if (operand.value != id || !operand.writes) continue;
      std::vector<State::ValueTap>& taps = state_->taps[n];
      std::erase_if(taps, [&](const State::ValueTap& t) { return t.value == id; });
      if (tap) taps.push_back({id, std::move(tap)});
      return;
    }
  }
  throw kit::Error("graph: no node writes a value named " + std::string(name));
}

void Program::setInput(std::string_view name, const void* data, uint64_t size_bytes) const {
  const uint64_t offset = inputOffset(name);
  const uint64_t wanted = state_->layout.values[state_->graph.find(name)].size_bytes;
  if (size_bytes > wanted) {
    throw kit::Error("graph: input " + std::string(name) + " takes at most " + std::to_string(wanted) + " bytes, not " +
                     std::to_string(size_bytes));
  }
  std::byte* to = state_->arena.mapped() != nullptr
                      ? static_cast<std::byte*>(state_->arena.mapped()) + state_->layout.input_begin
                      : static_cast<std::byte*>(state_->staging.mapped());
  std::memcpy(to + offset, data, size_t(size_bytes));
}

StepStats Program::runNodes(uint32_t n, uint32_t first, uint32_t end) const {
  State& s = *state_;
  if (first > end || end > nodeCount()) throw kit::Error("graph: there are no such nodes");
  if (n == 0 || n > maxTokens()) {
    throw kit::Error("graph: a step has 1 to " + std::to_string(maxTokens()) + " tokens, not " + std::to_string(n));
  }
  const auto start = std::chrono::steady_clock::now();
  StepStats stats;
  if (s.device.isCpu()) {
    CpuRecorder recorder(s.device);
    for (uint32_t i = first; i < end; ++i) {
      recorder.run(s.bindings[i], {.n = n * s.graph.nodes()[i].rows_per_token});
      for (const State::ValueTap& tap : s.taps[i]) tap.run(recorder, n);
    }
    stats.submissions = 1;
  }
#if !defined(NIB_NO_VULKAN)
  if (!s.device.isCpu()) {
    // Software devices have no watchdog and no compositor.
    const bool unbounded = s.device.info().type == kit::DeviceType::kSoftware;
    constexpr double kSubmissionSeconds = 0.02;
    uint32_t node = first, slice = 0;
    while (node < end) {
      uint32_t recorded = 0;
      const uint32_t most = unbounded ? UINT32_MAX : s.slices_per_submission;
      const double seconds = s.device.submit([&](VkCommandBuffer commands) {
        VulkanRecorder recorder(s.commands, commands);
        if (first == 0 && stats.submissions == 0 && s.arena.mapped() == nullptr && inputBytes() != 0) {
          s.commands.copyInputs(commands, s.staging.handle(), 0, s.arena.handle(), s.layout.input_begin, inputBytes());
        }
        while (node < end && recorded < most) {
          const uint32_t all = s.plans[node]->memory().slice_count;
          const uint32_t count = std::min(all - slice, most - recorded);
          if (recorded != 0 && (s.barrier[node] || slice != 0)) recorder.barrier();
          NibRun run{sizeof(NibRun)};
          run.n = n * s.graph.nodes()[node].rows_per_token;
          run.first_slice = slice;
          run.slice_count = count;
          nibCmdRun(commands, s.plans[node]->handle(), s.bindings[node].handle(), &run);
          recorded += count;
          slice += count;
          if (slice < all) break;
          slice = 0;
          for (const State::ValueTap& tap : s.taps[node]) {
            recorder.barrier();
            tap.run(recorder, n);
            recorder.barrier();
          }
          ++node;
        }
      });
      ++stats.submissions;
      if (!unbounded && seconds > 0) {
        const double fitting = std::clamp(recorded * kSubmissionSeconds / seconds, 1.0, double(recorded) * 4);
        s.slices_per_submission = std::max<uint32_t>(1, uint32_t(std::min(fitting, 1e9)));
      }
    }
  }
#endif
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return stats;
}

std::vector<double> Program::nodeSeconds(uint32_t n) const {
  const State& s = *state_;
  kit::Timer timer(s.device);
  std::vector<double> seconds;
  for (uint32_t i = 0; i < nodeCount(); ++i) {
    const uint32_t rows = n * s.graph.nodes()[i].rows_per_token;
#if !defined(NIB_NO_VULKAN)
    if (timer.onDevice()) {
      s.device.submit([&](VkCommandBuffer commands) {
        NibRun run{sizeof(NibRun)};
        run.n = rows;
        run.slice_count = UINT32_MAX;
        timer.begin(commands);
        nibCmdRun(commands, s.plans[i]->handle(), s.bindings[i].handle(), &run);
        timer.end(commands);
      });
      seconds.push_back(timer.seconds());
      continue;
    }
#endif
    seconds.push_back(s.device.run(s.bindings[i], {.n = rows}).seconds);
  }
  return seconds;
}

#if !defined(NIB_NO_VULKAN)
void Program::record(VkCommandBuffer commands, uint32_t n, VkBuffer inputs, VkDeviceSize inputs_offset) const noexcept {
  const State& s = *state_;
  s.commands.beginStep(commands);
  if (inputs != VK_NULL_HANDLE) {
    s.commands.copyInputs(commands, inputs, inputs_offset, s.arena.handle(), s.layout.input_begin, inputBytes());
  }
  for (uint32_t i = 0; i < s.bindings.size(); ++i) {
    if (s.barrier[i]) s.commands.barrier(commands);
    NibRun run{sizeof(NibRun)};
    run.n = n * s.graph.nodes()[i].rows_per_token;
    run.slice_count = UINT32_MAX;
    nibCmdRun(commands, s.plans[i]->handle(), s.bindings[i].handle(), &run);
  }
}
#endif

}  // namespace nib::graph
