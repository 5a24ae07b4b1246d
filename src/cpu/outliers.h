// Tokens to int8 codes and lists of outliers.
#ifndef NIB_CPU_OUTLIERS_H
#define NIB_CPU_OUTLIERS_H

#include "cpu/cpu.h"
#include "ops/dynamic_product.h"

namespace nib::cpu {

// blob: where codes, scales and lists go. status counts if the description wants it.
void splitOutliers(const DynamicProduct& product, const void* source, uint8_t* blob, NibStatus* status, uint32_t n,
                   const NibParallelFor* parallel);

}  // namespace nib::cpu
#endif
