// Validation, memory and kernels of ops that end in an int8 product.
#ifndef NIB_OPS_INT8_PRODUCT_H
#define NIB_OPS_INT8_PRODUCT_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "reference/int8_product.h"

namespace nib {

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
