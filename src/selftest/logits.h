// Rows of logits as they give trouble, for the cases of ops on them.
#ifndef NIB_SELFTEST_LOGITS_H
#define NIB_SELFTEST_LOGITS_H

#include "selftest/inputs.h"

namespace nib::selftest {

struct LogitMatrix {
  uint32_t rows, cols, stride, type;
  // A row is ordinary, masked in places, all equal, beyond fp32's sums, full of equal numbers, has one large number,
  // or a NaN: its number and the seed say which. Of a reference most rows are near those of the matrix with the same
  // seed, some nearer than others.
  uint64_t seed;
  bool reference = false;
};

Words makeLogits(const LogitMatrix& matrix);

// An element as ops on logits count it: within 2^60, denormals of no account.
double logitOf(const void* data, uint32_t type, uint64_t index);

}  // namespace nib::selftest
#endif
