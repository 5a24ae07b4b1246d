#include "model/quantize/pipeline.h"

#include "model/archive/error.h"
#include "model/blocks/memory.h"
#include "model/quantize/jobs.h"
#include "model/quantize/mixed_layers.h"
#include "model/quantize/network_steps.h"
#include "model/quantize/output_setup.h"

#include <algorithm>
#include <chrono>
#include <deque>

namespace nib::model {
namespace {

constexpr uint32_t kLanes = 3;      // of a GPU: one reads, one is on the device, one writes
constexpr uint32_t kCpuLanes = 16;  // at most, of the CPU device: a lane is a thread, or shares out several
constexpr uint64_t kLargestSlab = 256u << 20;

// The devices of the lanes, one each. On the CPU device lanes work side by side on tensors of their own, each with a
// share of the threads, so that they wait for each other as little as possible.
std::vector<TimedDevice> laneDevices(const kit::Device& device, size_t tensors, StageClock* clock) {
  if (!device.isCpu()) return std::vector<TimedDevice>(kLanes, TimedDevice(device, clock));
  const uint32_t threads = device.info().cpu_threads;
  const uint32_t lanes = std::clamp<uint32_t>(std::min<uint64_t>(threads, tensors), 1, kCpuLanes);
  std::vector<TimedDevice> devices;
  for (uint32_t i = 0; i < lanes; ++i) {
    kit::DeviceOptions options;
    options.selector = "cpu";
    options.cpu_threads = (threads + i) / lanes;
    devices.emplace_back(kit::Device::open(options), clock);
  }
  return devices;
}

QuantizedTotal totalOf(const QuantizePlan& plan, const std::vector<TensorReport>& reports) {
  QuantizedTotal total;
  NibErrorSums sums{};
  for (size_t j = 0; j < reports.size(); ++j) {
    if (plan.jobs[j].decision.kind != Decision::kQuantize || reports[j].kept_from_before) continue;
    ++total.tensors;
    total.compared = reports[j].compared;
    total.elements += uint64_t(plan.jobs[j].decision.weight.rows) * plan.jobs[j].decision.weight.cols;
    sums.finite_count += reports[j].sums.finite_count;
    sums.max_error = std::max(sums.max_error, reports[j].sums.max_error);
    sums.max_reference = std::max(sums.max_reference, reports[j].sums.max_reference);
    total.bytes_out += reports[j].bytes_out;
    sums.error_squares += reports[j].sums.error_squares;
    sums.reference_squares += reports[j].sums.reference_squares;
  }
  NibErrors errors{sizeof(NibErrors)};
  nibErrorsFinish(&sums, &errors);
  total.sqnr_db = errors.sqnr_db;
  return total;
}

}  // namespace

QuantizeReport quantizeModel(const kit::Device& device, const QuantizeOptions& asked) {
  QuantizeOptions options = asked;
  const auto start = std::chrono::steady_clock::now();
  StageClock clock;
  QuantizeReport report;
  report.device = device.info().name;
  // A lane holds a slab as dense elements, decoded to fp32 and packed twice, plus cached buffers: about 10 bytes per
  // 2-byte element.
  const uint64_t memory_bytes = std::min(options.memory_bytes, deviceBytes(device.info()) / 2);

  refuseAdapter(options.in);
  const Checkpoint input(options.in);
  // Some models have adapters inside, beside the weights that those adapt.
  bool is_adapter = input.size() != 0;
  for (size_t i = 0; i < input.size() && is_adapter; ++i) is_adapter = isAdapterTensor(input.info(i).name);
  if (is_adapter) throwAdapter(options.in);
  if (options.gptq && options.gptq->order == ColumnOrder::kFalling && !options.container->holdsOrder()) {
    throw Error("--act-order desc: --format " + std::string(options.container->name()) +
                " has groups of neighbouring columns: choose --format gptq, or --act-order static");
  }
  // Folders beside the output, for what an interrupted run has finished.
  const std::filesystem::path out = outputPathsOf(options.out).out;
  const std::filesystem::path gptq_folder = out.native() + std::filesystem::path(".gptq").native();
  const std::filesystem::path costs_folder = out.native() + std::filesystem::path(".costs").native();
  if (options.gptq) BlobStore::check(gptq_folder);
  if (options.mixed) MeasuredCosts::check(costs_folder);
  const std::vector<TimedDevice> devices = laneDevices(device, input.size(), &clock);
  const auto rangesOf = [&](const ModelView& view) {
    std::deque<TypeRanges> ranges;
    for (const TimedDevice& lane : devices) ranges.emplace_back(lane, view, *options.container);
    return ranges;
  };
  const auto chosenByMix = [&](const ModelView& view) {
    return options.mix != nullptr ? chooseMix(*options.mix, view, options.importance.has_value()) : ChosenTypes();
  };
  const auto planOf = [&](const ModelView& view, const ChosenTypes& chosen) {
    std::deque<TypeRanges> ranges = rangesOf(view);
    return makePlan(view, ranges, options, chosen);
  };
  const auto firstPlan = [&](const ModelView& view) { return planOf(view, chosenByMix(view)); };
  // All that is refused, before the long work.
  for (const TransformChoice& choice : options.transforms) {
    if (!kindOf(choice).own_network || options.container->loaders() == Container::Loaders::kNone) continue;
    throw Error("--transform " + choice.text() + ": only nibble runs the result, and loaders of --format " +
                options.container->name() + " would not: --format safetensors or dense");
  }
  if (!options.transforms.empty() || options.input_range) firstPlan(ModelView(input));
  const TransformedModel model_in(TimedDevice(device, &clock), input, transformRun(options, firstPlan));
  const Checkpoint& checkpoint = model_in.checkpoint();
  report.transforms = model_in.reports();
  const ModelView view(checkpoint);
  report.lanes = uint32_t(devices.size());
  report.slab_bytes = std::min(memory_bytes / (report.lanes * 5), kLargestSlab);
  report.notes = checkpoint.notes();
  if (!checkpoint.configJson() && options.container != &gguf()) {
    report.notes.push_back(shown(options.in) + ": there is no config.json, which loaders need to read the output");
  }
  const WriterOptions writing = writerOptions(options, checkpoint);
  ChosenTypes chosen = chosenByMix(view);
  std::optional<MeasuredCosts> costs;
  if (options.mixed) {
    if (!checkpoint.configJson()) throw Error(shown(options.in) + ": --budget and --size need the model's config.json");
    std::deque<TypeRanges> ranges = rangesOf(view);
    const MixedLayers layers = mixedLayers(view, ranges, options, writing);
    costs.emplace(costs_folder, writing.identity, options.resume);
    report.mixed =
        chooseTypes(TimedDevice(device, &clock), view, *options.mixed, layers, options.memory_bytes, *costs, chosen);
  }
  if (options.input_range) options.selection.inputs = calibrateInputs(TimedDevice(device, &clock), view, options);
  const QuantizePlan plan = planOf(view, chosen);
  checkNotEmpty(plan, options);
  // Build it before the long work: a bad config.json throws here.
  const Surroundings model = surroundingsOf(plan, options, checkpoint);
  OutputPlan output = options.container->plan(writing, plan.outputs, model);
  report.notes.insert(report.notes.end(), output.notes.begin(), output.notes.end());
  report.notes.insert(report.notes.end(), plan.notes.begin(), plan.notes.end());
  const auto quantizesInputs = [](const ModelView::Tensor& tensor) {
    return tensor.weight != nullptr && tensor.weight->activations != Activations::kNone;
  };
  if (options.convert && std::any_of(view.tensors().begin(), view.tensors().end(), quantizesInputs)) {
    report.notes.push_back(shown(options.in) + ": quantizes activations too, which the output does not");
  }
  if (!plan.left_out.empty()) {
    report.notes.push_back(
        quoteText(plan.left_out[0]) +
        (plan.left_out.size() > 1 ? " and " + std::to_string(plan.left_out.size() - 1) + " more" : std::string()) +
        ": left out, because loaders make it themselves");
  }
  ModelWriter writer(writing, std::move(output));
  std::optional<BlobStore> blobs;
  {
    const TimedDevice timed(device, &clock);
    if (options.gptq) {
      blobs.emplace(gptq_folder, writing.identity, options.resume);
      runGptq(timed, view, plan, options, *blobs, &report.gptq_times);
    }
    const LaneOptions lanes = {report.slab_bytes, memory_bytes / report.lanes, blobs ? &*blobs : nullptr};
    report.tensors = runJobs(plan, view, devices, lanes, writer, options);
  }
  report.quantized = totalOf(plan, report.tensors);
  report.dropped_scales = view.dropped();
  for (const ModelView::Tensor& tensor : view.tensors()) report.bare_fp8 += isBareFp8(tensor.weight) ? 1 : 0;
  report.dense = plan.dense;
  for (const TensorReport& tensor : report.tensors) {
    report.bytes_in += tensor.bytes_in;
    report.bytes_out += tensor.bytes_out;
  }
  if (writer.takesFiles()) {
    if (model.config_json) writer.addFile("config.json", *model.config_json);
    for (const SideFile& file : model.side_files) {
      file.text ? writer.addFile(file.name, *file.text) : writer.copyFile(file.name, file.path);
    }
  }
  {
    const StageClock::Scope scope(&clock, Stage::kWrite);
    writer.publish();
  }
  if (blobs) blobs->remove();
  if (costs) costs->remove();
  for (size_t i = 0; i < kStageCount; ++i) report.stage_seconds[i] = clock.seconds(Stage(i));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace nib::model
