// What follows the sums of a product, and how neighbouring results are written: bias, activation, residual. BIAS, RESIDUAL,
// ACTIVATION and RESULT_TYPE are known when the pipeline is built; results are bound at binding 2.
#ifndef NIBBLE_PRODUCTS_PRODUCT_RESULT_GLSL
#define NIBBLE_PRODUCTS_PRODUCT_RESULT_GLSL

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

// Finishes the sums of output channels `row` and row + 1 of a token whose results begin at element row_start (for 16-bit
// types at a word, as row does). The second is left out from `rows` on.
void nibStoreProducts(vec2 sums, vec2 bias, uint row_start, uint row, uint rows, uint delta) {
  if (row >= rows) return;
  vec2 y = BIAS ? sums + bias : sums;
  y = vec2(nibActivate(y.x), nibActivate(y.y));
#ifdef NIB_FAULT
  // A planted fault for tests of the tests: a bit of every result.
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
