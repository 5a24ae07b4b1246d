// The scale that a type finds for weights of a known range.
#ifndef NIB_MODEL_QUANTIZE_SCALE_OF_H
#define NIB_MODEL_QUANTIZE_SCALE_OF_H

#include "model/archive/container.h"

#include <nibble/nibble.h>

namespace nib::model {

struct StoredScale {
  uint32_t scale = 0;
  uint32_t zero = 0;
};

// Scale and zero point, as stored, for weights with this extent.
StoredScale scaleOf(const WeightSpec& weight, const NibExtent& extent);

}  // namespace nib::model
#endif
