// The codes of ggml's IQ4 formats: one of sixteen values from -127 to 113 times a scale.
#ifndef NIB_FORMATS_IQ4_H
#define NIB_FORMATS_IQ4_H

#include "formats/format.h"
#include "numerics/exact.h"
#include "shaders/formats/iq4/table.h"

namespace nib {

inline constexpr uint32_t kIq4Values[16] = {IQ4_V0, IQ4_V1, IQ4_V2,  IQ4_V3,  IQ4_V4,  IQ4_V5,  IQ4_V6,  IQ4_V7,
                                            IQ4_V8, IQ4_V9, IQ4_V10, IQ4_V11, IQ4_V12, IQ4_V13, IQ4_V14, IQ4_V15};

// Code c stands for quotients from threshold c - 1 on and below threshold c.
inline constexpr uint32_t kIq4Thresholds[15] = {IQ4_T0, IQ4_T1, IQ4_T2,  IQ4_T3,  IQ4_T4,  IQ4_T5,  IQ4_T6, IQ4_T7,
                                                IQ4_T8, IQ4_T9, IQ4_T10, IQ4_T11, IQ4_T12, IQ4_T13, IQ4_T14};

// The product is exact. Zeros are +0.
inline uint32_t decodeIq4(uint32_t code, const StoredScale& scale, const NibWeights&) {
  if (scale.scale_bits == 0u) return 0u;
  return exact::bitsOf(exact::floatOf(kIq4Values[code]) * exact::floatOf(scale.scale_bits));
}

// FormatDesc::quantizeBlock of blocks of 32.
void quantizeIq4(const uint32_t* x_bits, const uint32_t* importance_bits, uint32_t count, Block* block);

}  // namespace nib
#endif
