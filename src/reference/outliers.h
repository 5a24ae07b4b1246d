// The two steps of NIB_OP_DYNAMIC_GEMM: quantizing the tokens, with or without outliers, and the int8 product.
#ifndef NIB_REFERENCE_OUTLIERS_H
#define NIB_REFERENCE_OUTLIERS_H

#include "reference/int8_product.h"

namespace nib {

// AUX holds the AUX range of the quantize step (its status first), then the blob of codes, then the outlier lists.
struct DynamicProduct {
  NibQuantizeDesc quantize;   // of the tokens, to int8
  NibMemory quantize_memory;  // its weights are the blob
  Int8Product product;        // of the codes
  uint64_t own_bytes;         // of the quantize step in AUX
  uint64_t blob_offset;       // in AUX
  uint64_t blob_bytes;        // including the lists
  uint32_t threshold;         // fp32 bits; 0 = no outliers
};

// Faster functions with the same results; NULL: the references.
struct DynamicSteps {
  void (*quantize)(const NibQuantizeDesc& desc, const HostRun& run) = nullptr;
  reference::Int8Steps product;
};
void dynamicGemmReference(const DynamicProduct& product, const HostRun& run, const DynamicSteps& steps = {});

namespace reference {

// Quantizes n tokens; magnitudes of at least the threshold go to the outlier lists instead. Writes codes, scales and
// lists to blob. status is written only with NIB_QUANTIZE_STATUS.
void splitOutliers(const DynamicProduct& product, const void* source, uint8_t* blob, NibStatus* status, uint32_t n,
                   const NibParallelFor* parallel);

}  // namespace reference
}  // namespace nib
#endif
