// How a quantized weight becomes one of another container: with its own codes and scales, or quantized again.
#ifndef NIB_MODEL_CONVERT_CONVERSION_H
#define NIB_MODEL_CONVERT_CONVERSION_H

#include "model/archive/container.h"
#include "model/decode.h"

#include <string>

namespace nib::model {

struct Conversion {
  WeightSpec weight;
  bool lossless = false;  // codes and scales stay as they are
  std::string why;        // not lossless: the reason
};

// Reads the scales of the weight where they decide. Throws if the conversion makes no sense, with the reason.
Conversion conversionOf(const Checkpoint& checkpoint, const FoundWeight& found, const Container& container);

}  // namespace nib::model
#endif
