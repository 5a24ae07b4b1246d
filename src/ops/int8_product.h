// What ops that end in an int8 product share: the validated problem, where everything lies, and the kernels that do it.
#ifndef NIB_OPS_INT8_PRODUCT_H
#define NIB_OPS_INT8_PRODUCT_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "ops/geometry.h"

namespace nib {

struct Int8Product {
  NibInt8GemmDesc desc;  // batch, input_stride and result_stride are never 0 here
  Geometry weights;      // of all matrices
  Geometry input;        // its row_words and offsets are those of the stride
  uint32_t piece;        // columns whose sum is scaled as one
  bool grouped;          // more than one piece, or scales of groups
  uint64_t bias_offset, table_offset, weights_bytes;  // 0 = absent
  uint64_t output_bytes;
  uint64_t outliers_offset;  // in the input's blob: lists of elements that are not among its codes
  uint32_t max_outliers;     // 0 = no lists
};

inline bool isInt8Code(uint32_t result_type) {
  return result_type == NIB_INT8_RESULT_I8 || result_type == NIB_INT8_RESULT_U8;
}
inline uint32_t int8ResultBytes(uint32_t type) {
  if (isInt8Code(type)) return 1;
  return type == NIB_TYPE_F16 || type == NIB_TYPE_BF16 ? 2 : 4;
}
// Activations that are no piecewise lines: codes take them from a table, floats compute them within a bound.
inline bool isSmooth(uint32_t activation) { return activation >= NIB_ACTIVATION_GELU; }
inline bool hasTable(const NibInt8GemmDesc& d) { return isInt8Code(d.result_type) && isSmooth(d.activation); }

// Floats within a bound instead of exact bytes.
inline bool isBounded(const NibInt8GemmDesc& d) { return isSmooth(d.activation) && !isInt8Code(d.result_type); }

// Of smooth activations, of what they are given.
inline constexpr double kInt8Bound = 0x1p-19;

// A token's list of outliers, in words: how many, then a column and an fp32 pattern for each.
inline uint32_t listWords(uint32_t max_outliers) { return 1u + 2u * max_outliers; }

// Largest |code - zero point|.
uint32_t int8Reach(const NibWeights& weights);

// Validates. `op` begins the messages; four_bits: weights may be int4 and uint4.
NibResult makeInt8Product(const char* op, const NibInt8GemmDesc& desc, bool four_bits, const Log& log, Int8Product* out);

// The ranges and parts of weights and output; the input's are set where codes are the input.
void setInt8Memory(const Int8Product& product, NibMemory* memory);
void setInt8Input(const Int8Product& product, NibMemory* memory);

// Of a small problem, channels enough for several workgroups, and no more bytes than a self-test may take.
inline uint32_t fewInt8Rows(uint32_t rows, uint32_t cols) {
  const uint32_t few = cols > 4096 ? 133 : 261;
  return rows < few ? rows : few;
}

class PlanBuilder;
// The kernel's phase.
NibResult addInt8Product(const Int8Product& product, PlanBuilder& builder);

// Tokens that are not codes yet.
struct StagedInput {
  uint32_t source_type, stride;  // as the desc says; elements from token to token
};

// The phase that makes the codes, too, if one kernel can and should; *added tells. Of products without outliers.
NibResult addStagedProduct(const Int8Product& product, const StagedInput& input, PlanBuilder& builder, bool* added);

}  // namespace nib
#endif
