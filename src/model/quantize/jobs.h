// The work on the tensors of a plan: reads, decodes, quantizes or casts, and writes them.
#ifndef NIB_MODEL_QUANTIZE_JOBS_H
#define NIB_MODEL_QUANTIZE_JOBS_H

#include "model/archive/model_writer.h"
#include "model/quantize/gptq/store.h"
#include "model/quantize/quantize_plan.h"

namespace nib::model {

// How the devices of the lanes work. blobs: of weights that are quantized already; NULL = none.
struct LaneOptions {
  uint64_t slab_bytes = 0;
  uint64_t keep_bytes = 0;
  const BlobStore* blobs = nullptr;
};

// Only what is known before the work.
TensorReport reportOf(const QuantizeJob& job, const QuantizePlan& plan);

// Processes all jobs of the plan, as many at a time as there are devices. The reports are in the order of the jobs.
std::vector<TensorReport> runJobs(const QuantizePlan& plan, const ModelView& view,
                                  const std::vector<TimedDevice>& devices, const LaneOptions& lane_options,
                                  ModelWriter& writer, const QuantizeOptions& options);

}  // namespace nib::model
#endif
