#version 450
// RMS norm and layer norm. A workgroup norms a row, an invocation every WG-th run of its eight neighbouring elements.
// A row of up to KEEP * WG * 8 elements stays in registers, and every element (2 or 4 bytes) of source and residual is
// read once; a longer row is read in each of two or three passes. Writes every result (1 to 4 bytes) and every sum
// (2 or 4 bytes) once, in the last pass, by the invocation that has read the element, so that a sum may replace its
// residual. CODES: the result is int8 codes with a scale per row, as quantize.comp makes them.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "ops/norm.h"
NORM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NormPush push; };

const bool FULL = false;
const uint LANES = WG;
#ifdef CODES
#include "format.glsl"
#include "memory/codes.glsl"
#include "workgroup/reduce.glsl"
#endif
#define NIB_DENSE_SOURCE
#define NIB_DENSE_RESULT
#include "memory/dense.glsl"
#include "common/fault.glsl"
#include "workgroup/team_sum.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Weights1 { float weights1[]; };
layout(set = 0, binding = 0, std430) readonly buffer Weights4 { vec4 weights4[]; };
layout(set = 0, binding = 3, std430) readonly buffer Residual1 { uint residual1[]; };
layout(set = 0, binding = 3, std430) readonly buffer Residual2 { uvec2 residual2[]; };
layout(set = 0, binding = 3, std430) readonly buffer Residual4 { uvec4 residual4[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Scales { uint scales[]; };

// Elements of a run; zeros beyond the row.
struct Octet {
  vec4 a, b;
};

Octet kept[KEEP];

uint residualOne(uint element, uint delta) {
  if (RESIDUAL_TYPE == NIB_F32) return residual1[element + delta];
  uint half_word = (residual1[(element >> 1) + delta] >> ((element & 1u) * 16u)) & 0xffffu;
  return RESIDUAL_TYPE == NIB_BF16 ? half_word << 16 : nibHalfToF32Bits(half_word);
}

// fp32 bits of four elements of the residual; columns beyond the row repeat some of its last ones.
uvec4 residualQuad(uint row, uint col) {
  uint row_start = row * push.residual_stride;
  uint delta = push.residual_in_word + push.head.delta3;
  if (VEC) {
    uint quad = (row_start + min(col, push.cols - 4u)) >> 2;
    if (RESIDUAL_TYPE == NIB_F32) return residual4[quad + (delta >> 2)];
    return nibWidenWords(residual2[quad + (delta >> 1)], RESIDUAL_TYPE == NIB_BF16);
  }
  uvec4 at = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u)) + row_start;
  return uvec4(residualOne(at.x, delta), residualOne(at.y, delta), residualOne(at.z, delta),
               residualOne(at.w, delta));
}

// The sum as it is stored.
uvec4 sumOf(uvec4 x, uvec4 residual) {
  precise vec4 sum = uintBitsToFloat(x) + uintBitsToFloat(residual);
  uvec4 bits = floatBitsToUint(sum);
  bits = mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u)));
  if (RESIDUAL_TYPE == NIB_F32) return bits;
  return nibWidenWords(nibNarrowTo(RESIDUAL_TYPE, bits), RESIDUAL_TYPE == NIB_BF16);
}

Octet loadOctet(uint row, uint col) {
  if (col >= push.cols) return Octet(vec4(0.0), vec4(0.0));
  uvec4 x0, x1;
  nibLoadPair(row * push.source_stride, col, push.cols, push.source_word + push.head.delta1, x0, x1);
  if (RESIDUAL) {
    x0 = sumOf(x0, residualQuad(row, col));
    x1 = sumOf(x1, residualQuad(row, col + 4u));
  }
  return Octet(uintBitsToFloat(x0 & nibInside(col, push.cols)), uintBitsToFloat(x1 & nibInside(col + 4u, push.cols)));
}

uint stepsOf() { return MORE ? (push.cols + WG * 8u - 1u) / (WG * 8u) : KEEP; }
uint colOf(uint step) { return (step * WG + gl_LocalInvocationIndex) * 8u; }

// After the first pass.
Octet octetOf(uint row, uint step) {
  if (MORE) return loadOctet(row, colOf(step));
  return kept[step];
}

vec4 weightQuad(uint word, uint col) {
  uint at = word + push.head.delta0;
  if (VEC) return weights4[(at + min(col, push.cols - 4u)) >> 2];
  uvec4 index = at + min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  return vec4(weights1[index.x], weights1[index.y], weights1[index.z], weights1[index.w]);
}

vec4 normed(vec4 x, uint col, float mean, float factor) {
  vec4 y = (x - mean) * factor;
  if (GAIN) y *= weightQuad(push.gain_word, col);
  if (BIAS) y += weightQuad(push.bias_word, col);
  if (kFault != 0u) y.x = -y.x - 1.0;
  return y;
}

// The squares of deviations from the mean; 0 beyond the row.
float squares(vec4 x, uint col, float mean) {
  vec4 d = uintBitsToFloat(floatBitsToUint(x - mean) & nibInside(col, push.cols));
  return dot(d, d);
}

uint outRow(uint row) { return WHOLE ? row + push.head.first_row : row; }

void storeSum(uint row, uint col, Octet x) {
  uint row_start = outRow(row) * push.residual_stride;
  uint delta = push.residual_out_word + push.head.delta2;
  nibStoreQuadAs(RESIDUAL_TYPE, row_start, col, push.cols, delta, floatBitsToUint(x.a) + kFault * 0x00800000u);
  nibStoreQuadAs(RESIDUAL_TYPE, row_start, col + 4u, push.cols, delta, floatBitsToUint(x.b));
}

#ifdef CODES
void storeCodes(uint row, uint col, vec4 y, NibEncoder encoder) {
  if (col >= push.cols) return;
  ivec4 codes = nibEncode4(y, encoder) & ivec4(nibInside(col, push.cols));
  result1[push.result_word + push.head.delta2 + outRow(row) * push.result_stride + (col >> 2)] = nibPack4(codes);
}

void storeScale(uint row, uint bits) {
  if (gl_LocalInvocationIndex != 0u) return;
  if (WHOLE) {
    result1[push.scales_word + push.head.delta2 + outRow(row)] = bits;
  } else {
    scales[push.scales_word + push.head.delta3 + row] = bits;
  }
}

void storeRow(uint row, float mean, float factor) {
  uvec4 largest = uvec4(0u);
  for (uint step = 0u; step < stepsOf(); ++step) {
    Octet x = octetOf(row, step);
    uint col = colOf(step);
    vec4 y0 = normed(x.a, col, mean, factor), y1 = normed(x.b, col + 4u, mean, factor);
    largest = max(largest, floatBitsToUint(y0) & 0x7fffffffu & nibInside(col, push.cols));
    largest = max(largest, floatBitsToUint(y1) & 0x7fffffffu & nibInside(col + 4u, push.cols));
  }
  uint high = max(max(largest.x, largest.y), max(largest.z, largest.w));
  high = nibWorkgroupReduce(NibReduced(0u, high, 0u)).high;
  if (high >= 0x7f800000u) high = 0u;
  NibFound found = nibFindScale(0u, 0u, high, 0u, NIB_F32);
  storeScale(row, found.stored);
  NibEncoder encoder = nibMakeEncoder(uvec4(nibReciprocal(found.bits)), ivec4(found.zero), 0u);
  for (uint step = 0u; step < stepsOf(); ++step) {
    Octet x = octetOf(row, step);
    uint col = colOf(step);
    storeCodes(row, col, normed(x.a, col, mean, factor), encoder);
    storeCodes(row, col + 4u, normed(x.b, col + 4u, mean, factor), encoder);
    if (RESIDUAL && col < push.cols) storeSum(row, col, x);
  }
}
#else
uvec4 resultBits(vec4 y) {
  uvec4 bits = floatBitsToUint(y);
  return mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u)));
}

void storeRow(uint row, float mean, float factor) {
  for (uint step = 0u; step < stepsOf(); ++step) {
    Octet x = octetOf(row, step);
    uint col = colOf(step);
    if (col >= push.cols) break;
    uint row_start = outRow(row) * push.result_stride;
    uint delta = push.result_word + push.head.delta2;
    nibStoreQuad(row_start, col, push.cols, delta, resultBits(normed(x.a, col, mean, factor)));
    nibStoreQuad(row_start, col + 4u, push.cols, delta, resultBits(normed(x.b, col + 4u, mean, factor)));
    if (RESIDUAL) storeSum(row, col, x);
  }
}
#endif

void main() {
  uint row = push.head.tile_first + gl_WorkGroupID.x;
  float sum = 0.0, square = 0.0;
  for (uint step = 0u; step < stepsOf(); ++step) {
    uint col = colOf(step);
    Octet x = loadOctet(row, col);
    if (SUM) {
      if (col < push.cols) storeSum(row, col, x);
      continue;
    }
    if (!MORE) kept[step] = x;
    if (MEAN) {
      sum += dot(x.a, vec4(1.0)) + dot(x.b, vec4(1.0));
    } else {
      square += dot(x.a, x.a) + dot(x.b, x.b);
    }
  }
  if (SUM) return;
  float mean = 0.0;
  if (MEAN) {
    mean = nibTeamSum(sum) / float(push.cols);
    for (uint step = 0u; step < stepsOf(); ++step) {
      Octet x = octetOf(row, step);
      square += squares(x.a, colOf(step), mean) + squares(x.b, colOf(step) + 4u, mean);
    }
  }
  float factor = inversesqrt(nibTeamSum(square) / float(push.cols) + uintBitsToFloat(push.epsilon_bits));
  storeRow(row, mean, factor);
}
