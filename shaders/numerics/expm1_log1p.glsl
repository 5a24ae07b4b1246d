// e^x - 1 and log(1 + x) of fp32 numbers without the loss that the subtraction and the addition bring near 0.
#ifndef NIB_NUMERICS_EXPM1_LOG1P_GLSL
#define NIB_NUMERICS_EXPM1_LOG1P_GLSL

#include "numerics/exp_log.glsl"

// e^x - 1 within 2^-22 of itself for |x| up to 1/3.
float nibExpm1Near(float x) {
  float p = 1.98412698e-4;
  p = p * x + 1.38888889e-3;
  p = p * x + 8.33333333e-3;
  p = p * x + 4.16666667e-2;
  p = p * x + 1.66666667e-1;
  p = p * x + 0.5;
  return (p * x) * x + x;
}

// The same within 2^-19 for x from -87 to 88.
float nibExpm1(float x) {
  return abs(x) < 0.33 ? nibExpm1Near(x) : nibExp(x) - 1.0;
}

// log(1 + x) within 2^-20 of itself for x from -1/2 to 1.
float nibLog1p(float x) {
  if (abs(x) > 0.25) return nibLog(1.0 + x);
  float s = x / (2.0 + x);
  float z = s * s;
  float p = z * (0.66666667 + z * (0.4 + z * (0.28571429 + z * 0.22222222)));
  return s * p + 2.0 * s;
}

#endif
