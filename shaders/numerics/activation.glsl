// Activation functions of fp32 values, for kernels with an error bound instead of exact bytes. ACTIVATION is a
// NibActivation, a specialization constant of the including shader. src/reference/activation.h does the same in double.
// Exponentials are those of exp_log.glsl, so that the bounds hold on every device.
#ifndef NIB_NUMERICS_ACTIVATION_GLSL
#define NIB_NUMERICS_ACTIVATION_GLSL

#include "common/nibble_constants.h"
#include "numerics/exp_log.glsl"

// erf within 1.5e-7: Abramowitz and Stegun, 7.1.26.
float nibErf(float x) {
  float a = abs(x);
  float t = 1.0 / (1.0 + 0.3275911 * a);
  float p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  float e = 1.0 - p * nibExp(-min(a * a, 80.0));
  return x < 0.0 ? -e : e;
}

// Above 10 it is 1 in fp32.
float nibTanh(float x) {
  return 1.0 - 2.0 / (nibExp(2.0 * clamp(x, -10.0, 10.0)) + 1.0);
}

float nibActivate(float x) {
  if (ACTIVATION == NIB_RELU) return max(x, 0.0);
  if (ACTIVATION == NIB_RELU6) return clamp(x, 0.0, 6.0);
  if (ACTIVATION == NIB_GELU) return 0.5 * x * (1.0 + nibErf(x * 0.70710678));
  // Clamping keeps cubes and exponentials from overflowing.
  if (ACTIVATION == NIB_GELU_TANH) {
    float c = clamp(x, -20.0, 20.0);
    return 0.5 * x * (1.0 + nibTanh(0.79788456 * (c + 0.044715 * c * c * c)));
  }
  if (ACTIVATION == NIB_SILU) {
    float c = max(x, -80.0);
    return c / (1.0 + nibExp(-c));
  }
  return x;
}

#endif
