// NIB_OP_DYNAMIC_GEMM as the two steps it is made of: tokens to codes, and the product of codes.
#ifndef NIB_OPS_DYNAMIC_PRODUCT_H
#define NIB_OPS_DYNAMIC_PRODUCT_H

#include "ops/int8_product.h"

namespace nib {

// AUX holds what quantizing has there (the status first), then the blob of codes, and lists of outliers behind it.
struct DynamicProduct {
  NibQuantizeDesc quantize;   // of the tokens, to int8
  NibMemory quantize_memory;  // its weights are the blob
  Int8Product product;        // of those codes
  uint64_t own_bytes;         // of quantizing, in AUX
  uint64_t blob_offset;       // in AUX
  uint64_t blob_bytes;        // with the lists
  uint32_t threshold;         // fp32 bits; 0 = no outliers
};

NibResult makeDynamicProduct(const NibDynamicGemmDesc& desc, const Log& log, DynamicProduct* out);

class PlanBuilder;
// The phase that writes codes and lists.
NibResult addOutliers(const DynamicProduct& product, PlanBuilder& builder);

}  // namespace nib
#endif
