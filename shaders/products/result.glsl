// Bias, activation and residual of a product's sums, and the stores of neighbouring results. BIAS, RESIDUAL, ACTIVATION
// and RESULT_TYPE are specialization constants of the including shader. Declares binding 2.
#ifndef NIB_PRODUCTS_RESULT_GLSL
#define NIB_PRODUCTS_RESULT_GLSL

#include "numerics/activation.glsl"
#include "numerics/halves.glsl"
#include "numerics/scale_store.glsl"

layout(set = 0, binding = 2, std430) buffer Result { uint result[]; };

uint nibNarrowResult(float x) {
  uint bits = floatBitsToUint(x);
  bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  if (RESULT_TYPE == NIB_BF16) return nan ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return nan ? 0x7e00u : nibNarrowHalves(uvec4(bits)).x;
}

float nibWidenResult(uint stored) {
  return uintBitsToFloat(RESULT_TYPE == NIB_BF16 ? stored << 16 : nibHalfToF32Bits(stored));
}

// Finishes and writes output channels `row` and row + 1 of a token whose results begin at element row_start; both are
// even for 16-bit types. The second is left out if it is not below `rows`.
void nibStoreProducts(vec2 sums, vec2 bias, uint row_start, uint row, uint rows, uint delta) {
  if (row >= rows) return;
  vec2 y = BIAS ? sums + bias : sums;
  y = vec2(nibActivate(y.x), nibActivate(y.y));
#ifdef NIB_FAULT
  // A planted fault, which tests must detect: a bit of every result.
  y = uintBitsToFloat(floatBitsToUint(y) ^ 0x00400000u);
#endif
  bool both = row + 1u < rows;
  if (RESULT_TYPE == NIB_F32) {
    uint at = row_start + row + delta;
    if (RESIDUAL) y.x += uintBitsToFloat(result[at]);
    result[at] = floatBitsToUint(y.x);
    if (!both) return;
    if (RESIDUAL) y.y += uintBitsToFloat(result[at + 1u]);
    result[at + 1u] = floatBitsToUint(y.y);
    return;
  }
  uint at = ((row_start + row) >> 1) + delta;
  if (RESIDUAL) y += vec2(nibWidenResult(result[at] & 0xffffu), nibWidenResult(result[at] >> 16));
  result[at] = nibNarrowResult(y.x) | (both ? nibNarrowResult(y.y) << 16 : 0u);
}

#endif
