#include "model/quantize/network_steps.h"

#include "model/archive/error.h"
#include "model/calibrate/stream.h"
#include "model/quantize/gptq/blocks.h"
#include "model/run/network_view.h"
#include "model/run/runner.h"

#include <algorithm>

namespace nib::model {

void runGptq(const TimedDevice& device, const ModelView& view, const QuantizePlan& plan, const QuantizeOptions& options,
             const BlobStore& store, BlockTimes* times) {
  if (!view.checkpoint().configJson()) throw Error(shown(options.in) + ": calibration needs the model's config.json");
  const ModelConfig config = networkConfig(view.checkpoint());
  const NetworkView network(view, config);
  std::map<std::string, WeightSpec> weights = weightsOf(plan);
  for (auto& [module, weight] : weights) {
    if (const uint32_t twin = gptqTwin(weight.weights.format)) weight.weights.format = twin;
  }
  BlocksOptions blocks;
  blocks.gptq = *options.gptq;
  blocks.gptq.times = times;
  blocks.weight = [&](const std::string& module) -> std::optional<WeightSpec> {
    const auto found = weights.find(module);
    return found != weights.end() ? std::optional(found->second) : std::nullopt;
  };
  if (options.resume) {
    blocks.finished = [&](const std::string& module) {
      std::optional<BlobStore::Entry> entry = store.read(module);
      return entry ? std::move(entry->blob) : HostBlob();
    };
  }
  blocks.memory_bytes = options.memory_bytes;
  blocks.folder = store.folder();
  blocks.done = [&](const GptqLayerReport& report, const HostBlob& blob) { store.save(report, blob); };
  blocks.progress = options.calibration.progress;
  quantizeBlocks(device, network.view(), config, options.calibration.sequences, blocks);
}

TransformRun transformRun(const QuantizeOptions& options, std::function<QuantizePlan(const ModelView&)> planOf) {
  TransformRun run;
  run.choices = options.transforms;
  run.sequences = options.calibration.sequences;
  const bool outputs = options.gptq && options.gptq->search_outputs;
  run.weights = [planOf = std::move(planOf), outputs](const ModelView& view) {
    std::map<std::string, WeightSpec> weights = weightsOf(planOf(view));
    // The search comes after transforms, which choose by the scales of the largest magnitudes, as AutoAWQ does.
    for (auto& [module, weight] : weights) weight.search_scales = weight.search_scales && !outputs;
    return weights;
  };
  run.activations = options.selection.activations;
  run.awq_modules = options.awq_modules;
  run.seed = options.seed;
  run.memory_bytes = options.memory_bytes;
  run.folder = outputPathsOf(options.out).out;
  run.folder += ".transform";
  run.progress = options.calibration.progress;
  return run;
}

std::map<std::string, StaticInput> calibrateInputs(const TimedDevice& device, const ModelView& view,
                                                   const QuantizeOptions& options) {
  if (!view.checkpoint().configJson()) {
    throw Error(shown(options.in) + ": static activations need the model's config.json");
  }
  const ModelConfig config = networkConfig(view.checkpoint());
  const NetworkView network(view, config);
  RunnerOptions running;
  std::vector<uint32_t> ids;
  running.max_tokens = 0;
  for (const std::vector<uint32_t>& sequence : options.calibration.sequences) {
    running.max_tokens = std::max(running.max_tokens, uint32_t(sequence.size()));
    ids.insert(ids.end(), sequence.begin(), sequence.end());
  }
  running.positions = running.max_tokens;
  Runner runner(device, network.view(), config, running);
  CollectOptions collecting;
  collecting.sequence_length = running.max_tokens;
  Calibration calibration;
  for (auto& [name, collected] : collectInputs(runner, ids, collecting, options.calibration.progress)) {
    CalibratedTensor& tensor = calibration[name];
    tensor.collected = std::move(collected);
    chooseRanges(tensor, *options.input_range, name);
  }
  const bool fp8 = options.selection.activations == Activations::kFp8Static;
  return staticInputs(calibration, "--calib", fp8 ? NIB_FORMAT_FP8 : NIB_FORMAT_INT8);
}

}  // namespace nib::model
