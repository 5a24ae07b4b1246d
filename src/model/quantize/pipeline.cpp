#include "model/quantize/pipeline.h"

#include "model/archive/error.h"
#include "model/archive/folder_writer.h"
#include "model/quantize/cast.h"
#include "model/quantize/quantize_weight.h"

#include <algorithm>
#include <chrono>

namespace nib::model {
namespace {

// A tensor of the input and what it becomes.
struct Job {
  size_t input = 0;
  TensorInfo info;
  Decision decision;
  std::vector<WeightPart> parts;  // kQuantize
  size_t first_output = 0;
};

struct Plan {
  std::vector<Job> jobs;
  std::vector<OutputTensor> outputs;
  ConfigFacts facts;
};

Plan planModel(const Checkpoint& checkpoint, const QuantizeOptions& options) {
  Plan plan;
  plan.facts.activations = options.selection.activations;
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    Job job;
    job.input = i;
    job.info = checkpoint.info(i);
    job.decision = decide(job.info, options.selection, *options.container);
    job.first_output = plan.outputs.size();
    const std::string name(job.info.name);
    switch (job.decision.kind) {
      case Decision::kQuantize:
        job.parts = options.container->parts(job.decision.weight, options.selection.activations);
        for (const WeightPart& part : job.parts) plan.outputs.push_back({part.tensor, i});
        plan.facts.weights.push_back(job.decision.weight);
        break;
      case Decision::kCast: plan.outputs.push_back({{name, job.decision.dtype, job.info.shape}, std::nullopt}); break;
      case Decision::kKeep: plan.outputs.push_back({{name, job.info.dtype, job.info.shape}, std::nullopt}); break;
    }
    if (job.decision.kind != Decision::kQuantize && isLinear(job.info)) {
      WeightSpec dense;
      dense.name = name;
      plan.facts.dense_modules.push_back(dense.module());
    }
    plan.jobs.push_back(std::move(job));
  }
  // Models with tied heads have no tensor for it, and loaders still make the layer.
  auto& dense = plan.facts.dense_modules;
  if (std::find(dense.begin(), dense.end(), "lm_head") == dense.end() && !checkpoint.find("lm_head.weight")) {
    dense.push_back("lm_head");
  }
  std::sort(dense.begin(), dense.end());
  return plan;
}

void copyTensor(const Checkpoint& checkpoint, const Job& job, FolderWriter& writer) {
  constexpr uint64_t kPiece = 16u << 20;
  std::vector<std::byte> bytes(size_t(std::min(kPiece, job.info.bytes)));
  for (uint64_t at = 0; at < job.info.bytes; at += kPiece) {
    const std::span<std::byte> piece(bytes.data(), size_t(std::min(kPiece, job.info.bytes - at)));
    checkpoint.read(job.input, at, piece);
    writer.write(job.first_output, at, piece);
  }
}

uint64_t bytesOf(const TensorSpec& tensor) { return *tensorBytes(tensor.dtype, tensor.shape); }

TensorReport reportOf(const Job& job, const Plan& plan) {
  TensorReport report;
  report.name = std::string(job.info.name);
  report.shape = job.info.shape;
  report.note = job.decision.note;
  report.bytes_in = job.info.bytes;
  const size_t outputs = std::max<size_t>(job.parts.size(), 1);
  for (size_t i = 0; i < outputs; ++i) report.bytes_out += bytesOf(plan.outputs[job.first_output + i]);
  uint64_t elements = 1;
  for (const uint64_t side : job.info.shape) elements *= side;
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

}  // namespace

QuantizeReport quantizeModel(const kit::Device& device, const QuantizeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Checkpoint checkpoint(options.in);
  const Plan plan = planModel(checkpoint, options);
  if (plan.facts.weights.empty() && options.selection.type.quantized()) {
    for (const Job& job : plan.jobs) {
      if (!job.decision.note.empty()) {
        throw Error(shown(options.in) + ": nothing to quantize: " + quoteText(job.info.name) + ": " + job.decision.note);
      }
    }
    throw Error(shown(options.in) + ": no tensor is a linear layer of a block (\"...layers.N...q_proj.weight\"); --include RE names others");
  }

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
  FolderWriter writer(writing, plan.outputs);

  WeightQuantizer quantizer(device, *options.container, options.selection.activations, options.slab_bytes);
  Caster caster(device, options.slab_bytes);
  QuantizeReport report;
  report.device = device.info().name;
  Progress progress;
  for (const Job& job : plan.jobs) progress.total_bytes += job.info.bytes;
  for (const Job& job : plan.jobs) {
    progress.tensor = job.info.name;
    if (options.progress) options.progress(progress);
    TensorReport tensor = reportOf(job, plan);
    const size_t outputs = std::max<size_t>(job.parts.size(), 1);
    bool finished = true;
    for (size_t i = 0; i < outputs; ++i) finished = finished && writer.isFinished(job.first_output + i);
    if (finished) {
      tensor.kept_from_before = true;
    } else {
      // Parts of one weight are made together; those that are complete are left alone.
      const auto read = [&](uint64_t offset, std::span<std::byte> bytes) { checkpoint.read(job.input, offset, bytes); };
      const auto write = [&](size_t part, uint64_t offset, std::span<const std::byte> bytes) {
        if (!writer.isFinished(job.first_output + part)) writer.write(job.first_output + part, offset, bytes);
      };
      if (job.decision.kind == Decision::kQuantize) {
        const WeightResult result = quantizer.quantize(job.decision.weight, job.parts, {read, write});
        tensor.errors = result.errors;
        tensor.saturated = result.status.saturated_count;
      } else if (job.decision.kind == Decision::kCast) {
        tensor.errors = caster.cast(job.info, job.decision.dtype, {read, write});
      } else {
        copyTensor(checkpoint, job, writer);
      }
      for (size_t i = 0; i < outputs; ++i) {
        if (!writer.isFinished(job.first_output + i)) writer.finished(job.first_output + i);
      }
    }
    report.bytes_in += tensor.bytes_in;
    report.bytes_out += tensor.bytes_out;
    progress.done_bytes += job.info.bytes;
    report.tensors.push_back(std::move(tensor));
  }
  progress.tensor = {};
  if (options.progress) options.progress(progress);

  if (checkpoint.configJson()) {
    std::string quantization;
    if (!plan.facts.weights.empty()) quantization = options.container->quantizationConfig(plan.facts);
    const WeightType& type = options.selection.type;
    writer.addFile("config.json", configWith(*checkpoint.configJson(), quantization,
                                             type.quantized() ? "" : torchName(type.dense)));
  }
  for (const std::filesystem::path& file : checkpoint.sideFiles()) writer.copyFile(file.filename().string(), file);
  writer.publish();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace nib::model
