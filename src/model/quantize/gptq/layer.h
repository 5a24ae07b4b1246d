// GPTQ of one linear layer on a device (arXiv 2210.17323): from the Hessian of its inputs to a quantized blob.
#ifndef NIB_MODEL_QUANTIZE_GPTQ_LAYER_H
#define NIB_MODEL_QUANTIZE_GPTQ_LAYER_H

#include "model/archive/container.h"
#include "model/blocks/hessian_sum.h"
#include "model/blocks/phases.h"
#include "model/timed_device.h"

#include <nibble/kit.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nib::model {

// The order in which columns are quantized.
enum class ColumnOrder {
  kNone,    // as they are; a group's scale is found or searched when the order reaches it
  kStatic,  // by falling diagonal of H; scales are found before, from the weights as they are
  kGroups,  // groups by their largest diagonal, and columns by falling diagonal within them; scales as kStatic
  kFalling  // by falling diagonal of H; groups are of columns that follow each other in this order
};

struct GptqOptions {
  ColumnOrder order = ColumnOrder::kStatic;
  double damp = 0.01;           // a fraction of the mean diagonal
  uint32_t block = 0;           // columns that are quantized at a time; 0 = the fastest number
  bool parity = false;          // scales of groups as the published code finds them
  bool nearest = false;         // round to nearest with the scales that are found, and correct no columns
  bool search_outputs = false;  // scales are searched by the error of the layer's outputs, not of the weights
  bool sequential = true;       // layers of a block one after the other, each with inputs of the quantized ones before
  BlockTimes* times = nullptr;  // gets the seconds of phases
};

// A quantized weight in host memory, in the layout of nibGetMemory for NIB_OP_QUANTIZE of all its rows.
struct HostBlob {
  std::vector<std::byte> bytes;
  std::vector<uint32_t> order = {};  // column order[p] of the weight is column p of the blob; empty = they are in order
  bool empty() const { return bytes.empty(); }
};

// Writes the values of a blob as fp32 [rows, cols]. Throws.
void decodeBlob(const TimedDevice& device, const WeightSpec& weight, const HostBlob& blob, kit::Range to);

struct GptqLayerReport {
  std::string module;
  double loss = 0;          // mean squared error of the layer's output, summed over its channels, with damping
  double nearest_loss = 0;  // the same of rounding to nearest
  double damp = 0;          // that was used
  uint64_t tokens = 0;
  uint32_t dead = 0;     // columns whose inputs were all 0
  bool nearest = false;  // rounded to nearest instead; `note` says why
  std::string note;
};

// Factors H, for layers of up to `rows` rows that share it. Throws.
class GptqSolver {
 public:
  GptqSolver(const TimedDevice& device, const GptqOptions& options, const HessianSum& hessian, uint32_t rows);
  ~GptqSolver();
  // Why GPTQ is impossible; "" = it is not.
  const std::string& problem() const;
  // Where the caller writes the dense elements of a weight before solve(): [rows, cols] of `type`.
  kit::Range source(uint32_t rows, NibType type) const;
  // Quantizes the weight in source(). decoded: fp32 [rows, cols], gets the quantized weight's values; may be empty.
  HostBlob solve(const WeightSpec& weight, NibType type, const kit::Range& decoded, GptqLayerReport& report);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nib::model
#endif
