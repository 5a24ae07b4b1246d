// The reference of int8 products, for ops whose codes lie in different ranges.
#ifndef NIB_CPU_INT8_PRODUCT_H
#define NIB_CPU_INT8_PRODUCT_H

#include "cpu/cpu.h"
#include "ops/int8_product.h"

namespace nib::cpu {

// weights and input: where their blobs begin.
void int8Product(const Int8Product& product, const void* weights, const void* input, void* output, uint32_t n,
                 const NibParallelFor* parallel);

}  // namespace nib::cpu
#endif
