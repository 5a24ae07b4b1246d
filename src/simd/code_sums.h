// Sums of products of codes by instructions that multiply bytes, for int8_gemm and dynamic_gemm.
#ifndef NIB_SIMD_CODE_SUMS_H
#define NIB_SIMD_CODE_SUMS_H

#include <memory>

#include "reference/int8_product.h"

namespace nib::simd {

// reference::MakeScaledSums.
std::unique_ptr<reference::ScaledSums> makeCodeSums(const Int8Product& product, const reference::Int8Operands& operands,
                                                    uint32_t x_row, uint32_t x_count);

}  // namespace nib::simd
#endif
