// NIB_OP_DYNAMIC_GEMM as the two ops it is made of.
#ifndef NIB_OPS_DYNAMIC_PRODUCT_H
#define NIB_OPS_DYNAMIC_PRODUCT_H

#include "ops/int8_product.h"

namespace nib {

struct DynamicProduct {
  NibQuantizeDesc quantize;   // of the tokens, to int8
  NibMemory quantize_memory;  // its weights are this op's scratch, and so is its scratch
  Int8Product product;        // of those codes
  uint64_t scratch_offset;    // of the quantization's scratch in this op's
  uint64_t scratch_bytes;
};

NibResult makeDynamicProduct(const NibDynamicGemmDesc& desc, const Log& log, DynamicProduct* out);

}  // namespace nib
#endif
