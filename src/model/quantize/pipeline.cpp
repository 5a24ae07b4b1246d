#include "model/quantize/pipeline.h"

#include "model/archive/error.h"
#include "model/archive/folder_writer.h"
#include "model/calibrate/static_inputs.h"
#include "model/decode.h"
#include "model/quantize/cast.h"
#include "model/quantize/gptq/blocks.h"
#include "model/quantize/gptq/memory.h"
#include "model/quantize/gptq/store.h"
#include "model/quantize/lanes.h"
#include "model/quantize/quantize_weight.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>

namespace nib::model {
namespace {

constexpr uint32_t kLanes = 3;
constexpr uint64_t kLargestSlab = 256u << 20;

// A tensor of the input and the output tensors made from it.
struct Job {
  const ModelView::Tensor* tensor = nullptr;
  Decision decision;
  std::vector<WeightPart> parts;  // kQuantize
  size_t first_output = 0;

  size_t outputCount() const { return std::max<size_t>(parts.size(), 1); }
};

struct Plan {
  std::vector<Job> jobs;
  std::vector<OutputTensor> outputs;
  ConfigFacts facts;
  std::string quantization_config;
};

// Throws if the container stores anything but the scales that a search finds.
void checkScales(const Job& job, const QuantizeOptions& options) {
  const auto keepsAbsmax = [](const WeightPart& part) { return part.from == PartFrom::kAbsmax; };
  if (!job.decision.weight.search_scales || std::none_of(job.parts.begin(), job.parts.end(), keepsAbsmax)) return;
  throw Error("--scale-search mse: --format " + std::string(options.container->name()) +
              " keeps the largest magnitudes of this type's rows, not scales; choose another --format");
}

Plan planModel(const ModelView& view, const QuantizeOptions& options) {
  Plan plan;
  plan.facts.activations = options.selection.activations;
  std::vector<const ModelView::Tensor*> tensors;
  for (const ModelView::Tensor& tensor : view.tensors()) tensors.push_back(&tensor);
  std::sort(tensors.begin(), tensors.end(), [](const auto* a, const auto* b) { return a->index < b->index; });
  for (const ModelView::Tensor* tensor : tensors) {
    Job job;
    job.tensor = tensor;
    job.first_output = plan.outputs.size();
    // Decide on a quantized weight as if it were still the dense tensor.
    const Dtype dense = tensor->weight != nullptr ? tensor->weight->spec.source : tensor->dtype;
    const TensorInfo info{tensor->name, dense, tensor->shape, tensor->bytes, 0, 0};
    job.decision = decide(info, options.selection, *options.container);
    if (tensor->weight != nullptr && job.decision.kind != Decision::kQuantize) {
      job.decision.dtype = job.decision.kind == Decision::kCast || !options.selection.type.quantized()
                               ? options.selection.type.dense
                               : dense;
      job.decision.kind = Decision::kCast;
    }
    switch (job.decision.kind) {
      case Decision::kQuantize:
        if (isStatic(options.selection.activations)) {
          job.decision.weight.input = inputOf(options.selection.inputs, job.decision.weight);
        }
        job.parts = options.container->parts(job.decision.weight, options.selection.activations);
        checkScales(job, options);
        for (const WeightPart& part : job.parts) plan.outputs.push_back({part.tensor, tensor->index});
        plan.facts.weights.push_back(job.decision.weight);
        break;
      case Decision::kCast:
        plan.outputs.push_back({{std::string(tensor->name), job.decision.dtype, tensor->shape}, std::nullopt});
        break;
      case Decision::kKeep:
        plan.outputs.push_back({{std::string(tensor->name), tensor->dtype, tensor->shape}, std::nullopt});
        break;
    }
    if (job.decision.kind != Decision::kQuantize && isLinear(info)) {
      WeightSpec weight;
      weight.name = tensor->name;
      plan.facts.dense_modules.push_back(weight.module());
    }
    plan.jobs.push_back(std::move(job));
  }
  // A model with tied embeddings has no lm_head tensor, but loaders create the layer and must not quantize it.
  auto& modules = plan.facts.dense_modules;
  if (std::find(modules.begin(), modules.end(), "lm_head") == modules.end() && view.find("lm_head.weight") == nullptr) {
    modules.push_back("lm_head");
  }
  std::sort(modules.begin(), modules.end());
  if (!plan.facts.weights.empty()) plan.quantization_config = options.container->quantizationConfig(plan.facts);
  return plan;
}

uint64_t bytesOf(const TensorSpec& tensor) { return *tensorBytes(tensor.dtype, tensor.shape); }

TensorReport reportOf(const Job& job, const Plan& plan) {
  TensorReport report;
  report.name = job.tensor->name;
  report.shape = job.tensor->shape;
  report.note = job.decision.note;
  report.bytes_in = job.tensor->bytes;
  for (size_t i = 0; i < job.outputCount(); ++i) report.bytes_out += bytesOf(plan.outputs[job.first_output + i]);
  const uint64_t elements = job.tensor->elements();
  report.bits_per_weight = elements != 0 ? 8.0 * double(report.bytes_out) / double(elements) : 0.0;
  report.changed = job.decision.kind != Decision::kKeep;
  if (job.decision.kind == Decision::kQuantize) {
    const NibWeights& w = job.decision.weight.weights;
    report.type = nibFormatById(w.format)->name;
    if (w.granularity == NIB_GRANULARITY_GROUP) report.group_size = w.group_size;
  } else {
    report.type = dtypeName(plan.outputs[job.first_output].dtype);
  }
  return report;
}

// Processes one tensor at a time. Each worker thread has its own.
class Lane {
 public:
  // blobs: of weights that are quantized already; NULL = none.
  Lane(const TimedDevice& device, const ModelView& view, const QuantizeOptions& options, uint64_t slab_bytes,
       uint64_t keep_bytes, const BlobStore* blobs)
      : device_(device),
        view_(view),
        blobs_(blobs),
        decoder_(device, view),
        quantizer_(device, *options.container, options.selection.activations, slab_bytes, keep_bytes),
        caster_(device, slab_bytes) {}

  // Computes all parts of a weight together; skips writing those that an interrupted run has completed.
  void work(const Job& job, FolderWriter& writer, TensorReport& report) {
    const auto write = [&](size_t part, uint64_t offset, std::span<const std::byte> bytes) {
      const StageClock::Scope scope(device_.clock(), Stage::kWrite);
      if (!writer.isFinished(job.first_output + part)) writer.write(job.first_output + part, offset, bytes);
    };
    if (job.decision.kind == Decision::kKeep) {
      copy(*job.tensor, write);
    } else {
      const ModelView::Tensor& tensor = *job.tensor;
      const WeightSource source{
          *decoder_.typeOf(tensor), decoder_.unit(tensor),
          [&](uint64_t first, uint64_t count, const kit::Range& to) { decoder_.decode(tensor, first, count, to); }};
      if (job.decision.kind == Decision::kQuantize) {
        const std::optional<BlobStore::Entry> given =
            blobs_ != nullptr ? blobs_->read(job.decision.weight.module()) : std::nullopt;
        if (given) report.gptq = given->report;
        const WeightResult result = quantizer_.quantize(job.decision.weight, job.parts, source, write,
                                                        given ? std::span(given->blob.bytes) : std::span<std::byte>());
        report.sums = result.sums;
        nibErrorsFinish(&report.sums, &report.errors);
        report.saturated = result.status.saturated_count;
      } else {
        report.errors = caster_.cast(tensor.elements(), job.decision.dtype, source, write);
      }
    }
    const StageClock::Scope scope(device_.clock(), Stage::kWrite);
    for (size_t i = 0; i < job.outputCount(); ++i) {
      if (!writer.isFinished(job.first_output + i)) writer.finished(job.first_output + i);
    }
  }

 private:
  void copy(const ModelView::Tensor& tensor, const PartSink& write) const {
    constexpr uint64_t kChunk = 16u << 20;
    std::vector<std::byte> bytes(size_t(std::min(kChunk, tensor.bytes)));
    for (uint64_t at = 0; at < tensor.bytes; at += kChunk) {
      const std::span<std::byte> chunk(bytes.data(), size_t(std::min(kChunk, tensor.bytes - at)));
      {
        const StageClock::Scope scope(device_.clock(), Stage::kRead);
        view_.checkpoint().read(tensor.index, at, chunk);
      }
      write(0, at, chunk);
    }
  }

  TimedDevice device_;
  const ModelView& view_;
  const BlobStore* blobs_;
  Decoder decoder_;
  WeightQuantizer quantizer_;
  Caster caster_;
};

FolderWriterOptions writerOptions(const QuantizeOptions& options, const Checkpoint& checkpoint) {
  FolderWriterOptions writing;
  writing.out = options.out;
  writing.keep = checkpoint.files();
  writing.keep.push_back(options.in);
  const std::string source = checkpoint.fingerprint().hex();
  writing.identity = std::string("nibble ") + nibVersionString() + " " + options.command + " of " + source;
  writing.force = options.force;
  writing.resume = options.resume;
  writing.max_shard_bytes = options.max_shard_bytes;
  writing.metadata = {{"format", "pt"},
                      {"nibble_version", nibVersionString()},
                      {"nibble_command", options.command},
                      {"nibble_source", source}};
  return writing;
}

// Throws if a quantized type was asked for but no tensor would be quantized.
void checkNotEmpty(const Plan& plan, const QuantizeOptions& options) {
  if (!plan.facts.weights.empty() || !options.selection.type.quantized()) return;
  for (const Job& job : plan.jobs) {
    if (!job.decision.note.empty()) {
      throw Error(shown(options.in) + ": nothing to quantize: " + quoteText(job.tensor->name) + ": " +
                  job.decision.note);
    }
  }
  throw Error(shown(options.in) + ": no tensor is a linear layer of a block (\"...layers.N...q_proj.weight\"); " +
              "--include RE selects others");
}

// Processes all jobs of the plan, as many at a time as there are lanes. The reports are in the order of the jobs.
std::vector<TensorReport> runJobs(const Plan& plan, std::vector<std::unique_ptr<Lane>>& lanes, FolderWriter& writer,
                                  const QuantizeOptions& options) {
  std::vector<TensorReport> reports(plan.jobs.size());
  std::mutex mutex;
  Progress progress;
  for (const Job& job : plan.jobs) progress.total_bytes += job.tensor->bytes;
  const auto reportProgress = [&](const Job& job, uint64_t done_bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    progress.tensor = job.tensor->name;
    progress.done_bytes += done_bytes;
    if (options.progress) options.progress(progress);
  };
  runLanes(uint32_t(lanes.size()), plan.jobs.size(), [&](uint32_t lane, size_t j) {
    const Job& job = plan.jobs[j];
    TensorReport& report = reports[j];
    report = reportOf(job, plan);
    report.kept_from_before = true;
    for (size_t i = 0; i < job.outputCount(); ++i) {
      report.kept_from_before = report.kept_from_before && writer.isFinished(job.first_output + i);
    }
    reportProgress(job, 0);
    if (!report.kept_from_before) lanes[lane]->work(job, writer, report);
    reportProgress(job, job.tensor->bytes);
  });
  return reports;
}

// Quantizes the layers of the network's blocks with GPTQ, and leaves their blobs in the store.
void runGptq(const TimedDevice& device, const ModelView& view, const Plan& plan, const QuantizeOptions& options,
             const BlobStore& store, GptqTimes* times) {
  if (!view.checkpoint().configJson()) throw Error(shown(options.in) + ": --method gptq needs the model's config.json");
  const ModelConfig config = readConfig(*view.checkpoint().configJson());
  std::map<std::string, const WeightSpec*> weights;
  for (const Job& job : plan.jobs) {
    if (job.decision.kind == Decision::kQuantize) weights[job.decision.weight.module()] = &job.decision.weight;
  }
  BlocksOptions blocks;
  blocks.gptq = options.gptq->options;
  blocks.gptq.times = times;
  blocks.weight = [&](const std::string& module) -> std::optional<WeightSpec> {
    const auto found = weights.find(module);
    return found != weights.end() ? std::optional(*found->second) : std::nullopt;
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
  blocks.progress = options.gptq->progress;
  quantizeBlocks(device, view, config, options.gptq->sequences, blocks);
}

QuantizedTotal totalOf(const Plan& plan, const std::vector<TensorReport>& reports) {
  QuantizedTotal total;
  NibErrorSums sums{};
  for (size_t j = 0; j < reports.size(); ++j) {
    if (plan.jobs[j].decision.kind != Decision::kQuantize || reports[j].kept_from_before) continue;
    ++total.tensors;
    sums.finite_count += reports[j].sums.finite_count;
    sums.max_error = std::max(sums.max_error, reports[j].sums.max_error);
    sums.max_reference = std::max(sums.max_reference, reports[j].sums.max_reference);
    total.bytes_out += reports[j].bytes_out;
    sums.error_squares += reports[j].sums.error_squares;
    sums.reference_squares += reports[j].sums.reference_squares;
  }
  NibErrors errors{sizeof(NibErrors)};
  nibErrorsFinish(&sums, &errors);
  total.elements = sums.finite_count;
  total.sqnr_db = errors.sqnr_db;
  return total;
}

}  // namespace

QuantizeReport quantizeModel(const kit::Device& device, const QuantizeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  StageClock clock;
  QuantizeReport report;
  report.device = device.info().name;
  // A lane holds a slab as dense elements, decoded to fp32 and packed twice, plus cached buffers: about 10 bytes per
  // 2-byte element.
  report.lanes = kLanes;
  const uint64_t memory_bytes = std::min(options.memory_bytes, deviceBytes(device.info()) / 2);
  report.slab_bytes = std::min(memory_bytes / (kLanes * 5), kLargestSlab);

  const Checkpoint checkpoint(options.in);
  const ModelView view(checkpoint);
  const Plan plan = planModel(view, options);
  checkNotEmpty(plan, options);
  // Build it before the long work: a bad config.json throws here.
  std::string config;
  if (checkpoint.configJson()) {
    const WeightType& type = options.selection.type;
    config =
        configWith(*checkpoint.configJson(), plan.quantization_config, type.quantized() ? "" : torchName(type.dense));
  }
  const FolderWriterOptions writing = writerOptions(options, checkpoint);
  FolderWriter writer(writing, plan.outputs);
  std::optional<BlobStore> blobs;
  {
    const TimedDevice timed(device, &clock);
    if (options.gptq) {
      std::filesystem::path folder = outputPathsOf(options.out).out;
      folder += ".gptq";
      blobs.emplace(folder, writing.identity, options.resume);
      runGptq(timed, view, plan, options, *blobs, &report.gptq_times);
    }
    std::vector<std::unique_ptr<Lane>> lanes;
    for (uint32_t i = 0; i < kLanes; ++i) {
      lanes.push_back(std::make_unique<Lane>(timed, view, options, report.slab_bytes, memory_bytes / kLanes,
                                             blobs ? &*blobs : nullptr));
    }
    report.tensors = runJobs(plan, lanes, writer, options);
  }
  report.quantized = totalOf(plan, report.tensors);
  for (const TensorReport& tensor : report.tensors) {
    report.bytes_in += tensor.bytes_in;
    report.bytes_out += tensor.bytes_out;
  }
  if (checkpoint.configJson()) writer.addFile("config.json", config);
  for (const std::filesystem::path& file : checkpoint.sideFiles()) writer.copyFile(file.filename().string(), file);
  {
    const StageClock::Scope scope(&clock, Stage::kWrite);
    writer.publish();
  }
  if (blobs) blobs->remove();
  for (size_t i = 0; i < kStageCount; ++i) report.stage_seconds[i] = clock.seconds(Stage(i));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace nib::model
