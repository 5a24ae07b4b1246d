// Validation, memory and kernels of ops that end in an int8 product.
#ifndef NIB_OPS_INT8_PRODUCT_H
#define NIB_OPS_INT8_PRODUCT_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "reference/int8_product.h"

namespace nib {

// Largest |code - zero point|.
uint32_t int8Reach(const NibWeights& weights);

// Validates `desc` and fills *out. Messages begin with `op`. four_bits: weights may also be int4 or uint4.
NibResult makeInt8Product(const char* op, const NibInt8GemmDesc& desc, bool four_bits, const Log& log,
                          Int8Product* out);

// Sets the ranges and parts of weights and output.
void setInt8Memory(const Int8Product& product, NibMemory* memory);
// Sets the range and parts of an input of codes.
void setInt8Input(const Int8Product& product, NibMemory* memory);

// Output channels of a self-test's small problem: enough for several workgroups, few enough for its memory limit.
inline uint32_t fewInt8Rows(uint32_t rows, uint32_t cols) {
  const uint32_t few = cols > 4096 ? 133 : 261;
  return rows < few ? rows : few;
}

class PlanBuilder;
// Adds the phase of the product.
NibResult addInt8Product(const Int8Product& product, PlanBuilder& builder);

// Dense tokens, which the product's kernel quantizes.
struct StagedInput {
  uint32_t source_type;  // NibType
  uint32_t stride;       // elements from token to token
};

// Adds one phase that quantizes and multiplies, if a kernel can do that and is expected to be faster. *added says
// whether it did. Only for products without outliers.
NibResult addStagedProduct(const Int8Product& product, const StagedInput& input, PlanBuilder& builder, bool* added);

}  // namespace nib
#endif
