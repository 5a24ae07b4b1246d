// How fast GPTQ of one layer is on a device.
#ifndef NIB_MODEL_QUANTIZE_GPTQ_SPEED_H
#define NIB_MODEL_QUANTIZE_GPTQ_SPEED_H

#include "model/blocks/phases.h"

#include <nibble/kit.h>

#include <cstdint>

namespace nib::model {

struct GptqSpeedOptions {
  uint32_t rows = 4096, cols = 4096;
  uint32_t group = 128;    // of int4 with fp16 scales
  uint32_t tokens = 2048;  // of the Hessian
  uint32_t repeats = 3;    // the fastest counts, phase by phase
};

struct GptqSpeed {
  double seconds[kBlockPhases] = {};    // kForward is 0
  double flops[kBlockPhases] = {};      // 0 where arithmetic is not what takes the time
  double product_flops_per_second = 0;  // an fp32 product [rows, cols] x [cols, 512] of the same device
};

// Made-up weights and inputs. Throws.
GptqSpeed measureGptq(const kit::Device& device, const GptqSpeedOptions& options);

}  // namespace nib::model
#endif
