// Rounding of results that references compute in double.
#ifndef NIB_REFERENCE_ROUNDING_H
#define NIB_REFERENCE_ROUNDING_H

#include <cmath>
#include <cstdint>

#include "numerics/exact.h"

namespace nib::reference {

// y rounded to fp32, as bits; numbers below 2^-126 become zeros.
inline uint32_t roundedBits(double y) { return std::fabs(y) < 0x1p-126 ? 0u : exact::bitsOf(float(y)); }

}  // namespace nib::reference
#endif
