// Elements of rows of logits, as the ops on them count them.
#ifndef NIB_REFERENCE_LOGITS_H
#define NIB_REFERENCE_LOGITS_H

#include "numerics/exact.h"

namespace nib::reference {

inline bool isNan(uint32_t bits) { return exact::magnitudeOf(bits) > 0x7f800000u; }

// Orders as the numbers do; a NaN is below all.
inline uint32_t logitKey(uint32_t bits) { return isNan(bits) ? 0u : exact::nibKey(bits); }

inline double logitOf(uint32_t bits) {
  constexpr uint32_t kMost = 0x5d800000u;  // 2^60
  const uint32_t magnitude = exact::magnitudeOf(exact::nibFlushBits(bits));
  const double value = double(exact::floatOf(magnitude < kMost ? magnitude : kMost));
  return bits >> 31 != 0 ? -value : value;
}

}  // namespace nib::reference
#endif
