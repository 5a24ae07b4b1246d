// Measures a model against a reference: predictions, edge inputs, latency, memory, size.
#ifndef NIB_MODEL_EVAL_VALIDATE_H
#define NIB_MODEL_EVAL_VALIDATE_H

#include "model/eval/drift.h"
#include "model/eval/edges.h"
#include "model/eval/evaluate.h"
#include "model/eval/step_times.h"
#include "model/run/loaded_model.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace nib::model {

struct Validation {
  EdgeReport edges;
  StepTimes decode, prefill;
  std::optional<uint64_t> host_bytes;  // peak, before the reference was loaded
  DeviceBytes device_bytes;            // of the model alone
  uint64_t file_bytes = 0, reference_file_bytes = 0;
  // None if the model's predictions are not finite; then edges.nonfinite is set.
  std::optional<EvalResult> result;
  double max_logit_difference = 0;
  uint64_t logit_tokens = 0;         // tokens whose logits were compared
  std::optional<DriftReport> drift;  // with a calibration, unless values are not finite

  double perplexityRise() const;  // in percent of the reference's; NaN without result
  double meanKl() const;
  double topOne() const;  // agreement in percent
};

// Runs the model on one window at a time. The first window serves for the edge inputs and the latencies. Logits of at
// most 32 MB of each window, of tokens evenly apart, are compared. watched: a calibration that the inputs of the
// model's layers are compared with; may be NULL. progress: as of evaluate(). Throws.
Validation validate(const TimedDevice& device, LoadedModel& model, LoadedModel& reference,
                    std::span<const uint32_t> ids, const EvalOptions& options, const Calibration* watched,
                    const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
