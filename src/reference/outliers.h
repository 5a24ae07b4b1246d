// NIB_OP_DYNAMIC_GEMM as two steps, quantizing tokens and the product of codes, and the first step with outliers.
#ifndef NIB_REFERENCE_OUTLIERS_H
#define NIB_REFERENCE_OUTLIERS_H

#include "reference/int8_product.h"

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

void dynamicGemmReference(const DynamicProduct& product, const HostRun& run);

namespace reference {

// blob: where codes, scales and lists go. status counts if the description wants it.
void splitOutliers(const DynamicProduct& product, const void* source, uint8_t* blob, NibStatus* status, uint32_t n,
                   const NibParallelFor* parallel);

}  // namespace reference
}  // namespace nib
#endif
