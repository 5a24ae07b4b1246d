#include "model/quantize/pipeline.h"

#include "model/archive/error.h"
#include "model/archive/model_writer.h"
#include "model/archive/module_name.h"
#include "model/blocks/memory.h"
#include "model/calibrate/static_inputs.h"
#include "model/calibrate/stream.h"
#include "model/convert/conversion.h"
#include "model/decode.h"
#include "model/quantize/cast.h"
#include "model/quantize/gptq/blocks.h"
#include "model/quantize/gptq/store.h"
#include "model/quantize/lanes.h"
#include "model/quantize/quantize_weight.h"
#include "model/quantize/type_ranges.h"
#include "model/run/network_view.h"
#include "model/run/runner.h"
#include "model/transform/apply.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <set>

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

// A tensor of the input, or a matrix of it, and the output tensors made from it.
struct Job {
  const ModelView::Tensor* tensor = nullptr;
  Decision decision;
  std::string name;  // of the dense tensor in the output
  std::vector<uint64_t> shape;
  uint64_t bytes_in = 0;
  std::vector<WeightPart> parts;  // kQuantize
  size_t first_output = 0;

  size_t outputCount() const { return std::max<size_t>(parts.size(), 1); }
};

struct Plan {
  std::vector<Job> jobs;
  std::vector<OutputTensor> outputs;
  ConfigFacts facts;
  std::string quantization_config;
  bool untied = false;  // a head that config.json ties to the embedding is quantized
  DenseShare dense;
  std::vector<std::string> left_out;  // tensors
  std::vector<std::string> notes;
};

constexpr size_t kShownDense = 4;
// Output layers that may be tied to the input embedding.
constexpr std::string_view kTiedHeads = "lm_head embed_out proj_out output output_layer output_projection decoder";

// Throws if the container stores anything but the scales that a search finds.
void checkScales(const Job& job, const QuantizeOptions& options) {
  const auto keepsAbsmax = [](const WeightPart& part) { return part.from == PartFrom::kAbsmax; };
  if (!job.decision.weight.search_scales || std::none_of(job.parts.begin(), job.parts.end(), keepsAbsmax)) return;
  throw Error("--scale-search: --format " + std::string(options.container->name()) +
              " keeps the largest magnitudes of this type's rows, not scales; choose another --format");
}

// The format by which GPTQ makes codes of this one: a scale, and symmetric codes. 0 = itself or none.
uint32_t gptqTwin(uint32_t format) {
  return format == NIB_FORMAT_Q4_0 ? NIB_FORMAT_INT4 : format == NIB_FORMAT_Q8_0 ? NIB_FORMAT_INT8 : 0;
}

// Makes a plan, tensor by tensor.
class Planner {
 public:
  // ranges: one for each lane. chosen: types by tensor.
  Planner(const ModelView& view, std::deque<TypeRanges>& ranges, const QuantizeOptions& options, ChosenTypes chosen)
      : view_(view),
        ranges_(ranges),
        options_(options),
        selection_(options.selection),
        facts_(factsOf(view)),
        dense_(facts_, *options.container) {
    selection_.chosen = std::move(chosen);
    plan_.facts.activations = selection_.activations;
    plan_.facts.reorders = options.gptq && options.gptq->order == ColumnOrder::kFalling;
    plan_.facts.names = facts_.names();
    if (!options.importance) return;
    if (!view.checkpoint().configJson()) throw Error("--imatrix needs the model's folder with config.json");
    importance_.emplace(*options.importance, *view.checkpoint().configJson());
  }

  const MatrixFacts& facts() const { return facts_; }

  Plan plan() {
    std::vector<const ModelView::Tensor*> tensors;
    for (const ModelView::Tensor& tensor : view_.tensors()) tensors.push_back(&tensor);
    // By their place in the input; if a model is converted, by name, so that the bytes do not depend on that.
    if (!options_.convert) {
      std::sort(tensors.begin(), tensors.end(), [](const auto* a, const auto* b) { return a->index < b->index; });
    }
    std::vector<std::string_view> names;
    std::vector<Decision> decisions;
    std::vector<std::vector<Decision>> wanted(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) wanted[i] = decisionsOn(*tensors[i]);
    // Only this takes long: it may read the tensors.
    runLanes(uint32_t(ranges_.size()), tensors.size(), [&](uint32_t lane, size_t i) {
      for (Decision& decision : wanted[i]) {
        if (!decision.keeps_codes) ranges_[lane].fit(*tensors[i], decision);
        chooseDense(*tensors[i], decision);
      }
    });
    for (size_t i = 0; i < tensors.size(); ++i) {
      names.push_back(tensors[i]->name);
      decisions.push_back(addTensor(*tensors[i], std::move(wanted[i])));
    }
    const std::vector<std::string> heads = facts_.heads();
    for (const std::string& head : heads) addHead(head, names, decisions);
    if (!options_.convert) {
      checkMatches(selection_, names);
      checkUses(selection_, names, decisions);
    }
    addTrees();
    std::vector<std::string>& modules = plan_.facts.dense_modules;
    std::sort(modules.begin(), modules.end());
    if (importance_) importance_->check(plan_.notes);
    if (!plan_.facts.weights.empty()) {
      plan_.quantization_config = options_.container->quantizationConfig(plan_.facts);
    }
    if (selection_.type.quantized() && !options_.convert) plan_.dense = dense_.share(kShownDense);
    return std::move(plan_);
  }

 private:
  // A quantized weight counts as the dense tensor that it was.
  static TensorInfo infoOf(const ModelView::Tensor& tensor) {
    return {tensor.name,
            tensor.weight != nullptr ? tensor.weight->spec.source : tensor.declared.value_or(tensor.dtype),
            tensor.shape,
            tensor.bytes,
            0,
            0};
  }

  // Whether the tensor can be cast.
  static bool canCast(const ModelView::Tensor& tensor) {
    return tensor.weight != nullptr || nibTypeOf(tensor.dtype).has_value();
  }

  static MatrixFacts factsOf(const ModelView& view) {
    std::vector<TensorInfo> tensors;
    for (const ModelView::Tensor& tensor : view.tensors()) tensors.push_back(infoOf(tensor));
    return MatrixFacts(tensors, view.checkpoint().configJson());
  }

  // None if the container leaves the tensor out.
  std::vector<Decision> decisionsOn(const ModelView::Tensor& tensor) const {
    const TensorInfo info = infoOf(tensor);
    const Container& container = *options_.container;
    if (container.leavesOut(tensor.name, facts_.tied())) return {};
    if (options_.convert) return {converted(tensor)};
    std::vector<Decision> decisions = decideAll(info, selection_, container, facts_);
    for (Decision& decision : decisions) {
      if (tensor.weight == nullptr || decision.kind == Decision::kQuantize) continue;
      decision.dtype =
          decision.kind == Decision::kCast || !selection_.type.quantized() ? selection_.type.dense : info.dtype;
      decision.kind = Decision::kCast;
    }
    return decisions;
  }

  // The decision on a tensor if the container changes.
  Decision converted(const ModelView::Tensor& tensor) const {
    Decision decision;
    if (tensor.weight == nullptr) return decision;
    const TensorInfo info = infoOf(tensor);
    const Container& container = *options_.container;
    const bool is_embedding = container.holdsEmbeddings() && facts_.embedding() == tensor.name;
    if (container.loaders() == Container::Loaders::kNone || (!is_embedding && !facts_.isLinear(info))) {
      decision.kind = Decision::kCast;
      decision.dtype = info.dtype;
      return decision;
    }
    // GGUF files have quantized heads, which most loaders of other containers want dense.
    const std::vector<std::string> heads = facts_.heads();
    const bool is_head = std::find(heads.begin(), heads.end(), moduleOf(tensor.name)) != heads.end();
    if (is_head && tensor.weight->container->holdsEmbeddings()) {
      decision.kind = Decision::kCast;
      decision.dtype = info.dtype;
      decision.note = "the head becomes dense";
      return decision;
    }
    Conversion conversion = conversionOf(view_.checkpoint(), *tensor.weight, container);
    decision.kind = Decision::kQuantize;
    decision.weight = std::move(conversion.weight);
    decision.keeps_codes = conversion.lossless;
    decision.note = std::move(conversion.why);
    return decision;
  }

  // The type in which the container keeps a tensor that is not quantized.
  void chooseDense(const ModelView::Tensor& tensor, Decision& decision) const {
    if (decision.kind == Decision::kQuantize || !canCast(tensor)) return;
    const TensorInfo info = infoOf(tensor);
    decision.dtype =
        options_.container->denseType(info, decision.kind == Decision::kCast ? decision.dtype : info.dtype);
    const bool same = tensor.weight == nullptr && decision.dtype == tensor.dtype;
    decision.kind = same ? Decision::kKeep : Decision::kCast;
  }

  // Returns the decision on the tensor, or on its first matrix.
  Decision addTensor(const ModelView::Tensor& tensor, std::vector<Decision> decisions) {
    const TensorInfo info = infoOf(tensor);
    if (decisions.empty()) {
      plan_.left_out.emplace_back(tensor.name);
      return {};
    }
    const Decision first = decisions.front();
    dense_.add(info, first);
    for (Decision& decision : decisions) addJob(tensor, std::move(decision));
    if (first.kind == Decision::kQuantize) return first;
    if (facts_.isLinear(info)) plan_.facts.dense_modules.emplace_back(moduleOf(tensor.name));
    const std::string_view tower = towerOf(moduleOf(tensor.name));
    if (!tower.empty() && facts_.kind(moduleOf(tensor.name)) == ModuleKind::kTower) trees_.emplace(tower);
    if (MatrixFacts::isStack(info)) {
      const std::string_view module = moduleOf(tensor.name);
      trees_.emplace(module.substr(0, module.rfind('.')));
    }
    return first;
  }

  void addJob(const ModelView::Tensor& tensor, Decision decision) {
    Job job;
    job.tensor = &tensor;
    job.decision = std::move(decision);
    job.name = tensor.name;
    job.shape = tensor.shape;
    job.bytes_in = tensor.declared ? tensor.elements() * dtypeBits(*tensor.declared) / 8 : tensor.bytes;
    job.first_output = plan_.outputs.size();
    switch (job.decision.kind) {
      case Decision::kQuantize: {
        WeightSpec& weight = job.decision.weight;
        if (importance_) importance_->give(weight);
        if (isStatic(selection_.activations) && !options_.convert) weight.input = staticInputOf(weight);
        job.parts = options_.container->parts(weight, selection_.activations);
        checkScales(job, options_);
        if (options_.gptq) checkGptq(weight);
        for (const WeightPart& part : job.parts) plan_.outputs.push_back({part.tensor, plan_.jobs.size()});
        if (job.decision.slice) {
          job.shape = {weight.rows, weight.cols};
          job.bytes_in = uint64_t(weight.rows) * weight.cols * dtypeBits(weight.source) / 8;
        }
        job.name = weight.name;
        const std::string module = weight.module();
        if (facts_.kind(module) == ModuleKind::kHead && hasWord(kTiedHeads, lastSegment(module))) {
          if (facts_.tied()) checkUntying(weight.name);
          plan_.untied = true;
        }
        plan_.facts.weights.push_back(weight);
        break;
      }
      case Decision::kCast:
        plan_.outputs.push_back({{std::string(tensor.name), job.decision.dtype, tensor.shape}, std::nullopt});
        break;
      case Decision::kKeep:
        plan_.outputs.push_back({{std::string(tensor.name), tensor.dtype, tensor.shape}, std::nullopt});
        break;
    }
    plan_.jobs.push_back(std::move(job));
  }

  // As long as ranges are not calibrated yet, any will do.
  StaticInput staticInputOf(const WeightSpec& weight) const {
    if (options_.input_range && selection_.inputs.empty()) {
      StaticInput input;
      input.scale = 1;
      input.channels = weight.cols;
      return input;
    }
    return inputOf(selection_.inputs, weight);
  }

  void checkGptq(const WeightSpec& weight) const {
    const NibFormatInfo& info = *nibFormatById(weight.weights.format);
    if ((weight.weights.flags & NIB_WEIGHTS_FLAT) != 0) {
      throw Error(std::string(options_.gptq->nearest ? "--scale-search output: " : "--method gptq: ") +
                  quoteText(weight.name) + ": groups of --format " + options_.container->name() +
                  " go on from row to row, and calibration needs groups within rows: choose another --format");
    }
    if ((info.flags & NIB_FORMAT_OWN_SCALES) == 0 || gptqTwin(weight.weights.format) != 0) return;
    const bool nearest = options_.gptq->nearest;
    throw Error((nearest ? "--scale-search output: " : "--method gptq: ") + quoteText(weight.name) + ": type " +
                info.name + " finds the scale of a block by a rule of its own, and " +
                (nearest ? "this search" : "GPTQ") + " needs one that it can apply " +
                (nearest ? "to any range" : "column by column") +
                ": choose q4_0, q8_0 or mxfp4 for it, leave it dense with --exclude '" +
                std::string(moduleOf(weight.name)) + "', or --method rtn with another --scale-search");
  }

  void checkUntying(const std::string& name) const {
    if (facts_.family() == nullptr || !facts_.family()->scaled_tie) return;
    throw Error(quoteText(name) +
                ": is tied to the embedding, and this family scales the output of a tied head, so it "
                "cannot be quantized by itself: leave it out of --include");
  }

  // A model with a tied head has no tensor of it, but loaders create the layer and must not quantize it. If it is to be
  // quantized, it is a copy of the embedding.
  void addHead(const std::string& head, std::vector<std::string_view>& names, std::vector<Decision>& decisions) {
    for (const std::string& name : facts_.names().spellings(head)) {
      if (view_.find(name + ".weight") != nullptr) return;
    }
    const ModelView::Tensor* const embedding = facts_.embedding() ? view_.find(*facts_.embedding()) : nullptr;
    // Many families tie the head unless config.json says otherwise, and a head that is neither there nor tied is noise.
    if (embedding != nullptr && !facts_.untied()) {
      if (options_.convert) {
        plan_.facts.dense_modules.push_back(head);
        return;
      }
      tied_names_.push_back(head + ".weight");
      TensorInfo info = infoOf(*embedding);
      info.name = tied_names_.back();
      Decision decision = decide(info, selection_, *options_.container, facts_);
      names.push_back(tied_names_.back());
      decisions.push_back(decision);
      if (decision.kind == Decision::kQuantize) {
        ranges_.front().fit(*embedding, decision);
        addJob(*embedding, std::move(decision));
        plan_.jobs.back().bytes_in = 0;  // counted with the embedding
        return;
      }
    }
    plan_.facts.dense_modules.push_back(head);
  }

  // Towers and stacks of experts without any quantized matrix.
  void addTrees() {
    for (const std::string& tree : trees_) {
      const bool has_quantized = std::any_of(plan_.facts.weights.begin(), plan_.facts.weights.end(),
                                             [&](const WeightSpec& w) { return w.name.starts_with(tree + "."); });
      if (!has_quantized) plan_.facts.dense_trees.push_back(tree);
    }
  }

  const ModelView& view_;
  std::deque<TypeRanges>& ranges_;
  const QuantizeOptions& options_;
  SelectionOptions selection_;
  const MatrixFacts facts_;
  DenseCount dense_;
  Plan plan_;
  std::optional<ColumnImportance> importance_;
  std::set<std::string> trees_;
  std::deque<std::string> tied_names_;
};

uint64_t bytesOf(const TensorSpec& tensor) { return *tensorBytes(tensor.dtype, tensor.shape); }

TensorReport reportOf(const Job& job, const Plan& plan) {
  TensorReport report;
  report.name = job.name;
  report.shape = job.shape;
  report.note = job.decision.note;
  report.wide_scales = job.decision.wide_scales;
  report.beyond_type = job.decision.beyond_type;
  report.bytes_in = job.bytes_in;
  for (size_t i = 0; i < job.outputCount(); ++i) report.bytes_out += bytesOf(plan.outputs[job.first_output + i]);
  uint64_t elements = 1;
  for (const uint64_t side : job.shape) elements *= side;
  report.bits_per_weight = elements != 0 ? 8.0 * double(report.bytes_out) / double(elements) : 0.0;
  report.changed = job.decision.kind != Decision::kKeep || job.tensor->declared.has_value();
  if (job.tensor->weight != nullptr) {
    using Way = TensorReport::Conversion;
    report.conversion = job.decision.keeps_codes                   ? Way::kLossless
                        : job.decision.kind == Decision::kQuantize ? Way::kRequantized
                                                                   : Way::kDecoded;
  }
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
        quantizer_(device, *options.container, options.selection.activations, options.errors, slab_bytes, keep_bytes),
        errors_(options.errors),
        caster_(device, slab_bytes) {}

  // Computes all parts of a weight together; skips writing those that an interrupted run has completed.
  void work(const Job& job, ModelWriter& writer, TensorReport& report) {
    const auto write = [&](size_t part, uint64_t offset, std::span<const std::byte> bytes) {
      const StageClock::Scope scope(device_.clock(), Stage::kWrite);
      if (!writer.isFinished(job.first_output + part)) writer.write(job.first_output + part, offset, bytes);
    };
    if (job.decision.kind == Decision::kKeep) {
      copy(*job.tensor, write);
    } else {
      const ModelView::Tensor& tensor = *job.tensor;
      const std::optional<Slice>& slice = job.decision.slice;
      WeightSource source{*decoder_.typeOf(tensor), slice ? 1 : decoder_.unit(tensor),
                          [&](uint64_t first, uint64_t count, const kit::Range& to) {
                            slice ? decoder_.decodeSlice(tensor, *slice, job.decision.weight.cols, first, count, to)
                                  : decoder_.decode(tensor, first, count, to);
                          }};
      if (job.decision.keeps_codes) {
        source.load_blob = [&](uint64_t first, uint64_t count, const kit::Range& to) {
          decoder_.loadRows(tensor, first, count, to);
        };
      }
      if (job.decision.kind == Decision::kQuantize) {
        const std::optional<BlobStore::Entry> given =
            blobs_ != nullptr ? blobs_->read(job.decision.weight.module()) : std::nullopt;
        if (given) report.gptq = given->report;
        const GivenBlob blob = given ? GivenBlob{given->blob.bytes, given->blob.order} : GivenBlob();
        const WeightResult result = quantizer_.quantize(job.decision.weight, job.parts, source, write, blob);
        report.sums = result.sums;
        report.compared = errors_;
        nibErrorsFinish(&report.sums, &report.errors);
        report.saturated = result.status.saturated_count;
        report.lost_groups = result.lost_groups;
        report.overflowed = result.overflowed;
        if (report.overflowed != 0) makeInfinite(report.errors);
      } else {
        const CastResult result = caster_.cast(tensor.elements(), job.decision.dtype, source, write);
        report.errors = result.errors;
        report.compared = true;
        report.overflowed = result.overflowed;
        report.vanished = result.vanished;
        report.nonfinite = result.errors.nonfinite_count;
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
  bool errors_;
  Caster caster_;
};

// Adds what made the model that is converted, so that one that is converted there and back has the same bytes. GGUF has
// the same entries with a dot.
void addOrigin(const Checkpoint& checkpoint, Metadata& metadata) {
  for (const char* name : {"version", "command", "source"}) {
    for (const auto& [key, value] : checkpoint.metadata()) {
      if (key == std::string("nibble_") + name || key == std::string("nibble.") + name) {
        metadata.emplace_back(std::string("nibble_") + name, value);
      }
    }
  }
}

WriterOptions writerOptions(const QuantizeOptions& options, const Checkpoint& checkpoint) {
  WriterOptions writing;
  writing.out = options.out;
  writing.keep = checkpoint.files();
  writing.keep.push_back(options.in);
  const std::string source = checkpoint.fingerprint().hex();
  writing.identity = std::string("nibble ") + nibVersionString() + " " + options.command + " of " + source;
  writing.force = options.force;
  writing.resume = options.resume;
  writing.max_shard_bytes = options.max_shard_bytes;
  writing.split_bytes = options.split_bytes;
  if (options.importance) {
    const Importance& importance = options.importance->importance;
    writing.importance = ImportanceNote{options.importance->path.filename().string(),
                                        importance.datasets.empty() ? "" : importance.datasets[0],
                                        uint32_t(importance.entries.size()), importance.chunks};
  }
  if (options.mix != nullptr) writing.file_type = options.mix->file_type;
  writing.metadata = {{"format", "pt"}};
  if (options.convert) {
    addOrigin(checkpoint, writing.metadata);
  } else {
    writing.metadata.emplace_back("nibble_version", nibVersionString());
    writing.metadata.emplace_back("nibble_command", options.command);
    writing.metadata.emplace_back("nibble_source", source);
  }
  for (const SideFile& file : checkpoint.sideFiles()) writing.nested_files.push_back(file.name);
  return writing;
}

// Throws if a quantized type was asked for but no tensor would be quantized.
void checkNotEmpty(const Plan& plan, const QuantizeOptions& options) {
  if (!plan.facts.weights.empty()) return;
  const bool takes_values = options.container == &gguf() || options.container->loaders() == Container::Loaders::kNone;
  if (options.convert && !takes_values) {
    throw Error(shown(options.in) + ": nothing to convert: no weight is quantized; nibble quantize quantizes it");
  }
  if (options.convert || !options.selection.type.quantized()) return;
  for (const Job& job : plan.jobs) {
    if (!job.decision.note.empty()) {
      throw Error(shown(options.in) + ": nothing to quantize: " + quoteText(job.name) + ": " + job.decision.note);
    }
  }
  if (!options.selection.exclude.empty()) {
    throw Error(shown(options.in) + ": --exclude leaves no linear layer to quantize");
  }
  throw Error(shown(options.in) + ": no tensor is a linear layer of a block (\"...layers.N...q_proj.weight\"); " +
              "--include RE selects others" +
              (plan.dense.largest.empty() || plan.dense.largest[0].pattern.empty()
                   ? std::string()
                   : ", --include '" + plan.dense.largest[0].pattern + "' for example"));
}

// Processes all jobs of the plan, as many at a time as there are lanes. The reports are in the order of the jobs.
std::vector<TensorReport> runJobs(const Plan& plan, std::vector<std::unique_ptr<Lane>>& lanes, ModelWriter& writer,
                                  const QuantizeOptions& options) {
  std::vector<TensorReport> reports(plan.jobs.size());
  std::mutex mutex;
  Progress progress;
  for (const Job& job : plan.jobs) progress.total_bytes += job.bytes_in;
  const auto reportProgress = [&](const Job& job, uint64_t done_bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    progress.tensor = job.name;
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
    reportProgress(job, job.bytes_in);
  });
  return reports;
}

// The files that are written besides the tensors.
Surroundings surroundingsOf(const Plan& plan, const QuantizeOptions& options, const Checkpoint& checkpoint) {
  Surroundings model;
  if (checkpoint.configJson()) {
    const WeightType& type = options.selection.type;
    model.config_json = configWith(*checkpoint.configJson(), plan.quantization_config,
                                   type.quantized() || options.convert ? "" : torchName(type.dense), plan.untied);
  }
  model.side_files = checkpoint.sideFiles();
  return model;
}

// The layers that are quantized unless a type says otherwise: whether a rule gives it, by name.
std::map<std::string, bool, std::less<>> layersOf(const ModelView& view, const MatrixFacts& facts,
                                                  const SelectionOptions& selection) {
  std::map<std::string, bool, std::less<>> layers;
  for (const ModelView::Tensor& tensor : view.tensors()) {
    const std::string name(tensor.name);
    const auto matches = [&](const NamePattern& pattern) { return pattern.matches(name); };
    const auto anyOf = [&](const auto& patterns) { return std::any_of(patterns.begin(), patterns.end(), matches); };
    if (tensor.shape.size() != 2 || anyOf(selection.exclude)) continue;
    if (!facts.isSelected(name) && !anyOf(selection.include)) continue;
    layers.emplace(name, ruleFor(name, selection) != nullptr);
  }
  return layers;
}

uint64_t outputBytes(const Plan& plan, const Job& job) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < job.outputCount(); ++i) bytes += bytesOf(plan.outputs[job.first_output + i]);
  return bytes;
}

// The bytes of a model's layers at each type of a mixed choice. Throws if the output does not hold such a choice.
MixedLayers mixedLayers(const ModelView& view, std::deque<TypeRanges>& ranges, const QuantizeOptions& options,
                        const WriterOptions& writing) {
  const std::vector<SizedType>& types = options.mixed->types;
  const auto layers = layersOf(view, Planner(view, ranges, options, {}).facts(), options.selection);
  ChosenTypes free;
  for (const auto& [name, fixed] : layers) {
    if (!fixed) free.emplace(name, types.front());
  }
  MixedLayers found;
  std::map<std::string, size_t, std::less<>> index;
  std::set<std::string, std::less<>> quantized;  // at any type
  for (size_t t = 0; t < types.size(); ++t) {
    for (auto& [name, type] : free) type = types[t];
    const Plan plan = Planner(view, ranges, options, free).plan();
    found.other_bytes = 0;
    for (const Job& job : plan.jobs) {
      const bool quantizes = job.decision.kind == Decision::kQuantize;
      const bool is_free = free.contains(job.name);
      const uint64_t bytes = outputBytes(plan, job);
      if (!quantizes && !layers.contains(job.name)) {
        found.other_bytes += bytes;
        continue;
      }
      if (quantizes && !is_free && ruleFor(job.name, options.selection) == nullptr) {
        throw Error(quoteText(job.name) +
                    ": its loss cannot be measured, because the model's file has no such matrix: "
                    "give it a type with --rule, or leave it out");
      }
      if (!quantizes && is_free && !types[t].type.quantized() && job.tensor->dtype != types[t].type.dense) {
        throw Error("--types " + types[t].name() + ": " + quoteText(job.name) + " is " +
                    std::string(dtypeName(job.tensor->dtype)) + ", and layers that stay dense keep their type: name " +
                    std::string(dtypeName(job.tensor->dtype)));
      }
      if (quantizes && job.tensor->weight != nullptr) {
        throw Error(quoteText(job.name) + " is quantized already: --budget and --size compare with a dense model");
      }
      const auto [place, is_new] = index.emplace(job.name, found.layers.size());
      if (is_new) found.layers.push_back({job.name, job.tensor->elements(), {}, !is_free});
      MixedLayer& layer = found.layers[place->second];
      if (quantizes) quantized.insert(job.name);
      if (layer.fixed && !is_new) continue;
      const TensorReport report = reportOf(job, plan);
      layer.types.push_back(
          {quantizes ? std::optional(job.decision.weight) : std::nullopt,
           report.type + (report.group_size != 0 ? ":" + std::to_string(report.group_size) : std::string()), bytes});
    }
  }
  // A matrix that no type quantizes stays dense.
  for (const MixedLayer& layer : found.layers) {
    if (!layer.fixed && !quantized.contains(layer.name)) found.other_bytes += layer.types.front().bytes;
  }
  std::erase_if(found.layers, [&](const MixedLayer& l) { return !l.fixed && !quantized.contains(l.name); });
  if (std::all_of(found.layers.begin(), found.layers.end(), [](const MixedLayer& l) { return l.fixed; })) {
    throw Error(shown(options.in) + ": there is no layer whose type could be chosen");
  }
  // A choice of all types, so that whatever refuses it does so before anything is measured.
  size_t next = 0;
  for (auto& [name, type] : free) type = types[next++ % types.size()];
  const Plan plan = Planner(view, ranges, options, free).plan();
  const OutputPlan output =
      options.container->plan(writing, plan.outputs, surroundingsOf(plan, options, view.checkpoint()));
  if (!options.resume) checkReplaceable(outputPathsOf(options.out), output.kind, options.force, writing.keep);
  return found;
}

// How modules are quantized.
std::map<std::string, WeightSpec> weightsOf(const Plan& plan) {
  std::map<std::string, WeightSpec> weights;
  for (const Job& job : plan.jobs) {
    if (job.decision.kind == Decision::kQuantize) weights[job.decision.weight.module()] = job.decision.weight;
  }
  return weights;
}

// Quantizes the layers of the network's blocks with GPTQ, and leaves their blobs in the store.
void runGptq(const TimedDevice& device, const ModelView& view, const Plan& plan, const QuantizeOptions& options,
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

// planOf: the plan for a model.
TransformRun transformRun(const QuantizeOptions& options, std::function<Plan(const ModelView&)> planOf) {
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

// The ranges of the inputs of a model's linear layers on the calibration set.
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

QuantizedTotal totalOf(const Plan& plan, const std::vector<TensorReport>& reports) {
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
    return Planner(view, ranges, options, chosen).plan();
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
    std::filesystem::path folder = outputPathsOf(options.out).out;
    folder += ".costs";
    costs.emplace(folder, writing.identity, options.resume);
    report.mixed =
        chooseTypes(TimedDevice(device, &clock), view, *options.mixed, layers, options.memory_bytes, *costs, chosen);
  }
  if (options.input_range) options.selection.inputs = calibrateInputs(TimedDevice(device, &clock), view, options);
  const Plan plan = planOf(view, chosen);
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
      std::filesystem::path folder = outputPathsOf(options.out).out;
      folder += ".gptq";
      blobs.emplace(folder, writing.identity, options.resume);
      runGptq(timed, view, plan, options, *blobs, &report.gptq_times);
    }
    std::vector<std::unique_ptr<Lane>> lanes;
    for (const TimedDevice& lane : devices) {
      lanes.push_back(std::make_unique<Lane>(lane, view, options, report.slab_bytes, memory_bytes / report.lanes,
                                             blobs ? &*blobs : nullptr));
    }
    report.tensors = runJobs(plan, lanes, writer, options);
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
