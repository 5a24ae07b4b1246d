// The quantized weights of a model that is read: found, or refused where nibble cannot be sure of every value.
#ifndef NIB_MODEL_ARCHIVE_QUANTIZED_INPUT_H
#define NIB_MODEL_ARCHIVE_QUANTIZED_INPUT_H

#include "model/archive/container.h"
#include "model/archive/error.h"

#include <cstddef>
#include <string>
#include <vector>

namespace nib::model {

// The model is quantized in a form that nibble does not read, or its files contradict each other.
class UnreadQuantization : public Error {
 public:
  using Error::Error;
};

struct QuantizedInput {
  std::vector<FoundWeight> weights;
  // Indices of tensors that say how activations are quantized, which holds for these weights only, and of marks.
  // Sorted.
  std::vector<size_t> dropped;
};

// Reads headers and configuration files, and the small tensors that describe weights. Throws UnreadQuantization, or
// another Error if parts of a weight are missing or contradict each other.
QuantizedInput readQuantized(const Checkpoint& checkpoint);

// The statement of the configuration files, for people: "GPTQ", "compressed-tensors pack-quantized"; "" = nothing.
std::string statedName(const Checkpoint& checkpoint);

}  // namespace nib::model
#endif
