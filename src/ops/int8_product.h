// Validation, memory and kernels of ops that end in an int8 product.
#ifndef NIB_OPS_INT8_PRODUCT_H
#define NIB_OPS_INT8_PRODUCT_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "plan/small_dims.h"
#include "reference/int8_product.h"

namespace nib {

// The largest sum that fp32 holds exactly.
inline constexpr uint32_t kSmallSums = 1u << 24;

// Whether no sum of products exceeds it.
bool hasSmallSums(const Int8Product& product);

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

// Tokens of a small problem: more than a workgroup's on every device.
inline constexpr uint32_t kFewTokens = 67;

// Lists small sizes, tokens and columns, at which a product's kernel is the same.
void int8SmallDims(const Int8Product& product, SmallDims* list);

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
