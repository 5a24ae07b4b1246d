// The exact values and rounding errors that bounded (not bit-exact) results are checked against, in double precision
// and computed from the definitions of the types and functions.
#ifndef NIB_SELFTEST_BOUNDS_H
#define NIB_SELFTEST_BOUNDS_H

#include "selftest/cases.h"

namespace nib::selftest {

// An element of a dense matrix of any NibType.
double elementOf(const void* data, uint32_t type, uint64_t index);
// x rounded to the type, ties to even. Overflow gives infinity.
double roundedTo(uint32_t type, double x);
// The value of a finite E4M3FN or E5M2 code (arXiv 2209.05433).
double fp8Of(uint32_t code, uint32_t format);
// The activation function applied to x.
double activated(uint32_t activation, double x);
// Activations that kernels compute with exponentials. Their error is at most 2^-19 |x|.
inline bool isSmooth(uint32_t activation) { return activation >= NIB_ACTIVATION_GELU; }

// The rounding error of a type: relative for normal numbers, and absolute near zero.
double halfUlp(uint32_t type);
double leastOf(uint32_t type);

// Keeps the element with the largest error in units of its bound.
class FarthestSoFar {
 public:
  // Errors above `infinite`, and NaN, count as infinite.
  explicit FarthestSoFar(double infinite) : infinite_(infinite) {}
  void add(uint64_t index, double got, double exact, double bound);
  const Farthest& result() const { return farthest_; }

 private:
  double infinite_;
  Farthest farthest_;
};

}  // namespace nib::selftest
#endif
