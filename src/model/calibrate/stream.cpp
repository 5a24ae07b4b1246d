#include "model/calibrate/stream.h"

#include "model/archive/error.h"
#include "model/archive/hash.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr std::string_view kQuantize = ".quantize";  // the node that quantizes a layer's input

// A value that linear layers read, and the layers that read it.
struct Watched {
  graph::ValueId value;
  std::vector<std::string> modules;
  Collector collector;
};

// The dense input of a node of a linear layer, or kNoValue.
graph::ValueId linearInput(const graph::Node& node) {
  const uint32_t op = node.description()->op;
  if (op != NIB_OP_MATMUL && op != NIB_OP_DYNAMIC_GEMM && op != NIB_OP_QUANTIZE) return graph::kNoValue;
  for (const graph::Operand& operand : node.operands) {
    if (operand.role == NIB_ROLE_INPUT && operand.part == NIB_PART_COUNT) return operand.value;
  }
  return graph::kNoValue;
}

std::vector<Watched> watchInputs(const Runner& runner, const CollectOptions& options) {
  std::vector<Watched> list;
  for (const graph::Node& node : runner.graph().nodes()) {
    const graph::ValueId input = linearInput(node);
    if (input == graph::kNoValue) continue;
    std::string module = node.name;
    if (module.ends_with(kQuantize)) module.resize(module.size() - kQuantize.size());
    const auto same = std::find_if(list.begin(), list.end(), [&](const Watched& w) { return w.value == input; });
    if (same != list.end()) {
      same->modules.push_back(std::move(module));
      continue;
    }
    const graph::Value& value = runner.graph().value(input);
    const CollectedShape shape{module, runner.graph().maxTokens() * value.shape.rows_per_token, value.shape.cols,
                               value.shape.type, value.shape.stride};
    list.push_back(
        {input, {module}, Collector(runner.device(), shape, options.by_channel, runner.body().range(value.name))});
  }
  return list;
}

}  // namespace

std::map<std::string, Collected> collectInputs(Runner& runner, std::span<const uint32_t> ids,
                                               const CollectOptions& options,
                                               const std::function<void(uint64_t done, uint64_t all)>& progress) {
  const std::vector<Sequence> sequences =
      chooseSequences(ids.size(), options.sequence_length, options.samples, options.seed);
  if (sequences.empty()) throw Error("the data has no tokens");
  uint64_t all = 0, done = 0;
  for (const Sequence& sequence : sequences) all += sequence.count;
  std::vector<Watched> list = watchInputs(runner, options);
  for (const Watched& watched : list) {
    runner.body().tap(runner.graph().value(watched.value).name, [&watched](graph::Recorder& recorder, uint32_t tokens) {
      watched.collector.run([&](const kit::Binding& binding) { recorder.run(binding, {.n = tokens}); });
    });
  }
  Hasher hasher;
  for (const Sequence& sequence : sequences) {
    const std::span<const uint32_t> tokens = ids.subspan(size_t(sequence.first), size_t(sequence.count));
    hasher.add(std::as_bytes(tokens));
    const Chunk chunk{0, 0, tokens};
    runner.stepMany({&chunk, 1});
    for (Watched& watched : list) {
      watched.collector.read(uint32_t(sequence.count));
      watched.collector.endBatch(options.ema_constant);
    }
    done += sequence.count;
    if (progress) progress(done, all);
  }
  std::map<std::string, Collected> result;
  for (const Watched& watched : list) {
    runner.body().tap(runner.graph().value(watched.value).name, {});
    Collected collected;
    watched.collector.finish(collected);
    collected.data.push_back({hasher.digest().hex(), all});
    for (const std::string& module : watched.modules) result[module + ".input"] = collected;
  }
  return result;
}

}  // namespace nib::model
