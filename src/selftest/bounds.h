// What results are judged with that are bounded, not bit-exact: numbers in double precision, from the definitions of
// the types and functions.
#ifndef NIB_SELFTEST_BOUNDS_H
#define NIB_SELFTEST_BOUNDS_H

#include "selftest/cases.h"

namespace nib::selftest {

// An element of a dense matrix of any NibType.
double elementOf(const void* data, uint32_t type, uint64_t index);
// The nearest number of a type, ties to even; beyond the largest infinite.
double roundedTo(uint32_t type, double x);
// A finite code of E4M3FN or E5M2 (arXiv 2209.05433).
double fp8Of(uint32_t code, uint32_t format);
// What an activation makes of x.
double activated(uint32_t activation, double x);
// Those that kernels compute with exponentials, to within 2^-19 of x.
inline bool isSmooth(uint32_t activation) { return activation >= NIB_ACTIVATION_GELU; }

// Half of the distance of neighbours of a result's type, of their size; and the least.
double halfUlp(uint32_t type);
double leastOf(uint32_t type);

// Takes elements one after the other and keeps the one with the largest error.
class FarthestSoFar {
 public:
  // Errors of `infinite` and more, and what is no number, count as infinite.
  explicit FarthestSoFar(double infinite) : infinite_(infinite) {}
  void add(uint64_t index, double got, double exact, double bound);
  const Farthest& result() const { return farthest_; }

 private:
  double infinite_;
  Farthest farthest_;
};

}  // namespace nib::selftest
#endif
