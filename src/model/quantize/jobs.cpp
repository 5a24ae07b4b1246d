#include "model/quantize/jobs.h"

#include "model/decode.h"
#include "model/quantize/cast.h"
#include "model/quantize/lanes.h"
#include "model/quantize/quantize_weight.h"

#include <algorithm>
#include <memory>
#include <mutex>

namespace nib::model {
namespace {

// Processes one tensor at a time. Each worker thread has its own.
class Lane {
 public:
  Lane(const TimedDevice& device, const ModelView& view, const QuantizeOptions& options, const LaneOptions& lane)
      : device_(device),
        view_(view),
        blobs_(lane.blobs),
        decoder_(device, view),
        quantizer_(device, *options.container, options.selection.activations, options.errors, lane.slab_bytes,
                   lane.keep_bytes),
        errors_(options.errors),
        gptq_(options.gptq && !options.gptq->nearest),
        caster_(device, lane.slab_bytes) {}

  // Computes all parts of a weight together; skips writing those that an interrupted run has completed.
  void work(const QuantizeJob& job, ModelWriter& writer, TensorReport& report) {
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
        if (gptq_ && !given) {
          report.note += std::string(report.note.empty() ? "" : "; ") + "rounded to nearest: GPTQ has no inputs of it";
        }
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
  bool errors_, gptq_;
  Caster caster_;
};

}  // namespace

TensorReport reportOf(const QuantizeJob& job, const QuantizePlan& plan) {
  TensorReport report;
  report.name = job.name;
  report.shape = job.shape;
  report.note = job.decision.note;
  report.wide_scales = job.decision.wide_scales;
  report.beyond_type = job.decision.beyond_type;
  report.bytes_in = job.bytes_in;
  report.bytes_out = outputBytes(plan, job);
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

std::vector<TensorReport> runJobs(const QuantizePlan& plan, const ModelView& view,
                                  const std::vector<TimedDevice>& devices, const LaneOptions& lane_options,
                                  ModelWriter& writer, const QuantizeOptions& options) {
  std::vector<std::unique_ptr<Lane>> lanes;
  for (const TimedDevice& device : devices) {
    lanes.push_back(std::make_unique<Lane>(device, view, options, lane_options));
  }
  std::vector<TensorReport> reports(plan.jobs.size());
  std::mutex mutex;
  Progress progress;
  for (const QuantizeJob& job : plan.jobs) progress.total_bytes += job.bytes_in;
  const auto reportProgress = [&](const QuantizeJob& job, uint64_t done_bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    progress.tensor = job.name;
    progress.done_bytes += done_bytes;
    if (options.progress) options.progress(progress);
  };
  runLanes(uint32_t(lanes.size()), plan.jobs.size(), [&](uint32_t lane, size_t j) {
    const QuantizeJob& job = plan.jobs[j];
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

}  // namespace nib::model
