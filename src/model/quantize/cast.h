// A tensor, dense or quantized, in a dense type, piece by piece.
#ifndef NIB_MODEL_QUANTIZE_CAST_H
#define NIB_MODEL_QUANTIZE_CAST_H

#include "model/archive/dtype.h"
#include "model/quantize/quantize_weight.h"

#include <nibble/kit.h>

namespace nib::model {

class Caster {
 public:
  Caster(const Station& station, uint64_t slab_bytes) : station_(station), slab_bytes_(slab_bytes) {}
  // Part 0 of the sink. Rounds half-even; beyond the largest value of the type it is infinite. Throws.
  NibErrors cast(uint64_t elements, Dtype to, const WeightSource& source, const PartSink& sink) const;

 private:
  Station station_;
  uint64_t slab_bytes_;
};

}  // namespace nib::model
#endif
