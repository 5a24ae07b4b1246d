// A dense tensor in another dense type, piece by piece.
#ifndef NIB_MODEL_QUANTIZE_CAST_H
#define NIB_MODEL_QUANTIZE_CAST_H

#include "model/archive/checkpoint.h"
#include "model/quantize/quantize_weight.h"

#include <nibble/kit.h>

namespace nib::model {

class Caster {
 public:
  Caster(const kit::Device& device, uint64_t slab_bytes) : device_(device), slab_bytes_(slab_bytes) {}
  // tensor: F32, F16 or BF16 of any shape. Part 0 of the streams. Rounds half-even; beyond the largest value of the type
  // it is infinite. Throws.
  NibErrors cast(const TensorInfo& tensor, Dtype to, const WeightStreams& streams) const;

 private:
  kit::Device device_;
  uint64_t slab_bytes_;
};

}  // namespace nib::model
#endif
