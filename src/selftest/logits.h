// Rows of logits with edge cases, for the cases of ops on logits.
#ifndef NIB_SELFTEST_LOGITS_H
#define NIB_SELFTEST_LOGITS_H

#include "selftest/inputs.h"

namespace nib::selftest {

struct LogitMatrix {
  uint32_t rows, cols, stride, type;
  // The row's number and the seed decide its kind: ordinary, partly masked, all equal, with sums beyond fp32, full of
  // equal numbers, with one large number, or with a NaN. Most rows of a reference are near those of the matrix with the
  // same seed, some nearer than others.
  uint64_t seed;
  bool reference = false;
};

Words makeLogits(const LogitMatrix& matrix);

// An element as ops on logits read it: limited to magnitudes of 2^60, denormals as 0.
double logitOf(const void* data, uint32_t type, uint64_t index);

}  // namespace nib::selftest
#endif
