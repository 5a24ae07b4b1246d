// Measures a network of a given shape: prefill, decode, the share of products, and the overhead of a step besides its
// kernels.
#ifndef NIB_MODEL_EVAL_SPEED_H
#define NIB_MODEL_EVAL_SPEED_H

#include "model/arch/config.h"
#include "model/quantize/weight_type.h"

#include <nibble/kit.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nib::model {

struct SpeedOptions {
  uint32_t prompt = 512;                  // tokens of the prefill's step
  uint32_t positions = 0;                 // tokens in the cache while decoding; 0 = prompt
  double seconds = 3;                     // to measure each of the two for, at least
  WeightType type{.dense = Dtype::kF16};  // of the blocks' matrices, in the type's usual groups
  NibWeights cache{};                     // of keys and values
};

// Medians.
struct StepSpeed {
  double tokens_per_second = 0;
  double product_share = 0;                            // of the nodes' own times
  std::vector<std::pair<std::string, double>> shares;  // of each op, largest first
  uint32_t submissions = 0;                            // of a step
  double record_seconds = 0;  // on the host, of a step as an application records it; 0 on the CPU
  double submit_seconds = 0;  // of submitting it and waiting, without the device's own time; 0 on the CPU
  uint32_t nodes = 0, barriers = 0;
};

struct Speed {
  uint64_t weight_bytes = 0, cache_bytes = 0;
  StepSpeed prefill, decode;
};

// Measures the network with made-up weights: every 16-bit half of their memory is 0x2c2c. The embedding and the head
// are fp16. Prefill is a step of `prompt` tokens of one sequence, without the head; decode is a step of one token with
// the head and the greedy choice of the next. Throws.
Speed measureSpeed(const kit::Device& device, const ModelConfig& config, const SpeedOptions& options);

}  // namespace nib::model
#endif
