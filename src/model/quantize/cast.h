// Converts tensors, dense or quantized, to a dense type.
#ifndef NIB_MODEL_QUANTIZE_CAST_H
#define NIB_MODEL_QUANTIZE_CAST_H

#include "model/archive/dtype.h"
#include "model/quantize/quantize_weight.h"

#include <nibble/kit.h>

namespace nib::model {

struct CastResult {
  NibErrors errors{sizeof(NibErrors)};
  uint64_t overflowed = 0;  // finite values that became infinite
  uint64_t vanished = 0;    // values other than zero that became zero
};

// Makes the errors infinite, for results of which some are.
void makeInfinite(NibErrors& errors);

class Caster {
 public:
  Caster(const TimedDevice& device, uint64_t slab_bytes) : device_(device), slab_bytes_(slab_bytes) {}
  // Writes all elements in type `to` to part 0 of the sink, chunk by chunk. Rounds to nearest even; values beyond the
  // largest finite value of `to` become infinite, and the errors too. Throws.
  CastResult cast(uint64_t elements, Dtype to, const WeightSource& source, const PartSink& sink) const;

 private:
  TimedDevice device_;
  uint64_t slab_bytes_;
};

}  // namespace nib::model
#endif
