#version 450
// Elementwise sums, products and multiples; GATED: gated products and soft caps. A workgroup makes WG * OCTETS runs of
// eight results, an invocation every WG-th of them. Reads every element (2 or 4 bytes) of one or two operands once,
// before the same invocation writes the result (2 or 4 bytes), which may overwrite an operand.
#extension GL_GOOGLE_include_directive : require
#include "ops/elementwise.h"
ELEMENTWISE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ElementwisePush push; };

#include "common/nibble_constants.h"
#define NIB_DENSE_SOURCE
#define NIB_DENSE_RESULT
#define NIB_NONFINITE_CODES
#include "memory/dense.glsl"
#include "memory/second.glsl"
#include "numerics/float_bits.glsl"
#include "numerics/whole_range.glsl"
#ifdef GATED
#include "numerics/activation.glsl"
#endif

#ifdef NIB_FAULT
#define NIB_FAULTY(octet) ((octet) % 7u == 6u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(octet) 0u
#endif

uvec4 secondQuad(uint row, uint col, uint cols) {
  if (KIND == NIB_KIND_SCALE || KIND == NIB_KIND_CAP) return uvec4(push.factor_bits);
  uint row_start = row * push.second_stride + push.second_first;
  return nibSecondQuad(row_start, col, cols, push.second_word + push.head.delta3);
}

#ifdef GATED
// c * tanh(x / c). Near 0 by its series, where the quotient of exponentials would cancel.
float capped(float x, float c) {
  float u = x / c;
  float a = abs(u);
  float q = u * u;
  float series = ((62.0 / 2835.0 * q - 17.0 / 315.0) * q + 2.0 / 15.0) * q - 1.0 / 3.0;
  float e = nibExp(-2.0 * min(a, 20.0));
  float y = c * ((1.0 - e) / (1.0 + e));
  return a < 0.25 ? x + x * (q * series) : x < 0.0 ? -y : y;
}
#endif

uvec4 combined(uvec4 x, uvec4 y) {
#ifdef GATED
  vec4 gate = uintBitsToFloat(x);
  vec4 other = uintBitsToFloat(y);
  vec4 result = KIND == NIB_KIND_CAP
                    ? vec4(capped(gate.x, other.x), capped(gate.y, other.x), capped(gate.z, other.x),
                           capped(gate.w, other.x))
                    : vec4(nibActivate(gate.x), nibActivate(gate.y), nibActivate(gate.z), nibActivate(gate.w)) * other;
  uvec4 bits = floatBitsToUint(result);
  return mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u)));
#else
  uvec4 a = nibCanonicalize(x);
  uvec4 b = KIND == NIB_KIND_SCALE ? y : nibCanonicalizeFrom(kNibSecondInfinity, y);
  return KIND == NIB_KIND_ADD ? nibSumBits4(a, b) : nibProductBits4(a, b);
#endif
}

void storeOctet(uint row_start, uint col, uint cols, uvec4 x0, uvec4 x1) {
  uint delta = push.result_word + push.head.delta2;
  if (WIDE && RESULT_TYPE != NIB_F32) {
    result4[((row_start + col) >> 3) + (delta >> 2)] = uvec4(nibNarrow(x0), nibNarrow(x1));
    return;
  }
  nibStoreQuad(row_start, col, cols, delta, x0);
  nibStoreQuad(row_start, col + 4u, cols, delta, x1);
}

void makeOctet(uint octet) {
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  uint row = 0u;
  uint col = octet * 8u;
  if (!FLATTEN) {
    uint octets = (cols + 7u) >> 3;
    row = octet / octets;
    col = (octet - row * octets) * 8u;
  }
  if (FLATTEN ? col >= cols : row >= push.head.rows) return;
  uvec4 x0, x1;
  nibLoadPair(row * push.source_stride, col, cols, push.source_word + push.head.delta1, x0, x1);
  uvec4 y0 = combined(x0, secondQuad(row, col, cols));
  uvec4 y1 = combined(x1, secondQuad(row, col + 4u, cols));
  y0.x ^= NIB_FAULTY(octet);
  storeOctet(row * push.result_stride, col, cols, y0, y1);
}

void main() {
  uint first = (push.head.tile_first + gl_WorkGroupID.x) * (WG * OCTETS) + gl_LocalInvocationIndex;
  // Not a loop: some compilers keep its overhead.
  makeOctet(first);
  if (OCTETS > 1u) makeOctet(first + WG);
  if (OCTETS > 2u) makeOctet(first + 2u * WG);
  if (OCTETS > 3u) makeOctet(first + 3u * WG);
}
