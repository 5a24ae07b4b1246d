// fp32 sums and products by their definition, in double precision.
#ifndef NIB_TESTS_FLOAT_MODEL_H
#define NIB_TESTS_FLOAT_MODEL_H

#include <cmath>

#include "model.h"

namespace nib::model {

// An exact sum or product of two fp32 numbers, or the double nearest to it, rounded to 24 bits; below 2^-126 zero, from
// 2^128 on infinite. NaN has no sign.
inline double roundedOnce(double exact) {
  if (std::isnan(exact)) return NAN;
  if (exact == 0) return 0;
  if (std::isinf(exact)) return exact;
  int exponent = 0;
  const double fraction = std::frexp(exact, &exponent);
  const double near = std::ldexp(halfEven(std::ldexp(fraction, 24)), exponent - 24);
  if (std::fabs(near) >= 0x1p128) return std::copysign(INFINITY, near);
  return std::fabs(near) < 0x1p-126 ? 0 : near;
}

inline double sumOf(double a, double b) { return roundedOnce(a + b); }
inline double productOf(double a, double b) { return roundedOnce(a * b); }

}  // namespace nib::model
#endif
