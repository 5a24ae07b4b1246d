// The types that a weight can be given: `--type` of the command line.
#ifndef NIB_MODEL_QUANTIZE_WEIGHT_TYPE_H
#define NIB_MODEL_QUANTIZE_WEIGHT_TYPE_H

#include "model/archive/dtype.h"

#include <nibble/nibble.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// A format of nibble, or a dense type: a cast.
struct WeightType {
  uint32_t format = 0;         // NibFormat; 0 = dense
  Dtype dense = Dtype::kF32;

  bool quantized() const { return format != 0; }
  std::string name() const;
};

// In any case of letters: "int4", "NF4", "Q8_0", "F16".
std::optional<WeightType> findWeightType(std::string_view name);
// "int8, uint8, ...", for messages.
std::string weightTypeNames();

// kF32, kF16, kBF16 and what nibble calls them.
std::optional<NibType> nibTypeOf(Dtype dtype);

}  // namespace nib::model
#endif
