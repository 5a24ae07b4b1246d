// The weight types of the command line's --type.
#ifndef NIB_MODEL_QUANTIZE_WEIGHT_TYPE_H
#define NIB_MODEL_QUANTIZE_WEIGHT_TYPE_H

#include "model/archive/dtype.h"

#include <nibble/nibble.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// A quantized format of nibble, or a dense type (which means a cast).
struct WeightType {
  uint32_t format = 0;  // NibFormat; 0 = dense
  Dtype dense = Dtype::kF32;

  bool quantized() const { return format != 0; }
  std::string name() const;
};

// Finds a type by name, ignoring case: "int4", "NF4", "Q8_0", "F16".
std::optional<WeightType> findWeightType(std::string_view name);
// All names, "int8, uint8, ...", for messages.
std::string weightTypeNames();

// A type and, if it is not the default, a group size: "int4:64".
struct SizedType {
  WeightType type;
  std::optional<int64_t> group_size;

  std::string name() const;
};
// Parses TYPE[:G]. `where` begins the message of an Error: "--rule \"...\"".
SizedType parseSizedType(const std::string& text, const std::string& where);

// The NibType of kF32, kF16 and kBF16; none for other types.
std::optional<NibType> nibTypeOf(Dtype dtype);

}  // namespace nib::model
#endif
