// The simple blocks of ggml: 32 codes and an fp16 scale, and in the _1 formats an fp16 minimum. value = (code -
// 2^(bits-1)) * scale, or code * scale + minimum. Scales and codes are those of ggml's quantize_row_*_ref, except that
// a block whose fp16 scale is 0 has codes of 0. The including format.glsl defines NIB_BITS and NIB_GGML_KIND.
// src/formats/ggml.h is the C++ counterpart.
#ifndef NIB_FORMATS_GGML_GLSL
#define NIB_FORMATS_GGML_GLSL

#if NIB_GGML_KIND == 0
#define NIB_SIGNED_SCALES
#endif
#define NIB_RUN 32
#define NIB_BLOCK_COLS 32
#include "formats/ggml_decode.glsl"

#define NIB_GGML_EACH(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)
#define NIB_LEVELS ((1u << NIB_BITS) - 1u)
// fp32 bits of levels/2 = 2^(bits-1) - 1/2.
#define NIB_HALF_LEVELS_BITS (((125u + NIB_BITS) << 23) | ((NIB_LEVELS >> 1) << (24u - NIB_BITS) & 0x7fffffu))

struct NibBlock {
  uint scale_half;
  uint minimum_half;
  uint saturated;  // number of halves that saturated
  vec4 rcp;        // 1/scale before rounding to fp16; 0 if the fp16 scale is 0
  vec4 minimum;
};

// The half of a non-negative scale; saturated is 1 if it was too large and became the largest half.
uint nibScaleHalf(uint bits, out uint saturated) {
  saturated = bits >= 0x477ff000u ? 1u : 0u;
  return nibF32ToHalfSatBits(bits);
}

// The one of two elements that is farther from 0; the first if they are equally far.
uint nibFarther(uint a, uint b) { return int(b & 0x7fffffffu) > int(a & 0x7fffffffu) ? b : a; }
uint nibFarthest(uvec4 x) { return nibFarther(nibFarther(x.x, x.y), nibFarther(x.z, x.w)); }

// Denormals and -0 as +0.
uint nibFlushed(uint bits) { return (bits & 0x7f800000u) == 0u ? 0u : bits; }

// Finds scale and minimum of 32 finite elements.
NibBlock nibFindBlock(uvec4 x[8]) {
  NibBlock b;
  b.minimum_half = 0u;
  b.minimum = vec4(0.0);
#if NIB_GGML_KIND == NIB_GGML_MINIMUM
  // As unsigned integers, negative numbers are above all others and in descending order. So the largest integer is the
  // lowest number if any is negative, and the smallest integer is the highest number if all are negative.
  uvec4 most4 = x[0];
  uvec4 least4 = x[0];
  ivec4 positive4 = ivec4(x[0]);
#define NIB_GGML_ACCUMULATE(q)                 \
  most4 = max(most4, x[q]);                    \
  least4 = min(least4, x[q]);                  \
  positive4 = max(positive4, ivec4(x[q]));
  NIB_GGML_EACH(NIB_GGML_ACCUMULATE)
  uint most = max(max(most4.x, most4.y), max(most4.z, most4.w));
  uint least = min(min(least4.x, least4.y), min(least4.z, least4.w));
  int positive = max(max(positive4.x, positive4.y), max(positive4.z, positive4.w));
  uint low = nibFlushed(int(most) < 0 ? most : least);
  uint high = nibFlushed(positive < 0 ? least : uint(positive));
  // max and min are halved first, because max - min may overflow.
  precise float half_range = nibHalve(uintBitsToFloat(high)) - nibHalve(uintBitsToFloat(low));
  uint scale = nibDivBits(floatBitsToUint(half_range), NIB_HALF_LEVELS_BITS);
  b.scale_half = nibScaleHalf(scale, b.saturated);
  uint lowest = low & 0x7fffffffu;
  b.saturated += lowest >= 0x477ff000u ? 1u : 0u;
  b.minimum_half = nibF32ToHalfSatBits(low);
  b.minimum = vec4(uintBitsToFloat(lowest >= 0x477ff000u ? nibHalfToF32Bits(b.minimum_half) : low));
  uint sign = 0u;
#elif NIB_GGML_KIND == NIB_GGML_SIGNED
  uint farthest = nibFarther(nibFarther(nibFarther(nibFarthest(x[0]), nibFarthest(x[1])),
                                        nibFarther(nibFarthest(x[2]), nibFarthest(x[3]))),
                             nibFarther(nibFarther(nibFarthest(x[4]), nibFarthest(x[5])),
                                        nibFarther(nibFarthest(x[6]), nibFarthest(x[7]))));
  uint most = nibFlushed(farthest & 0x7fffffffu);
  // Division by -2^(bits-1) changes the exponent and the sign.
  uint scale = most < (NIB_BITS << 23) ? 0u : most - ((NIB_BITS - 1u) << 23);
  uint sign = ~farthest & 0x80000000u;
  b.scale_half = nibScaleHalf(scale, b.saturated);
#else
  uvec4 most4 = uvec4(0u);
#define NIB_GGML_ACCUMULATE(q) most4 = max(most4, x[q] & 0x7fffffffu);
  NIB_GGML_EACH(NIB_GGML_ACCUMULATE)
  uint most = max(max(most4.x, most4.y), max(most4.z, most4.w));
  uint scale = nibDivBits(nibFlushed(most), 0x42fe0000u);  // 127
  uint sign = 0u;
  b.scale_half = nibScaleHalf(scale, b.saturated);
#endif
  // If the scale saturated, codes are made with the stored one.
  if (scale >= 0x477ff000u) scale = nibHalfToF32Bits(b.scale_half);
  if (b.scale_half == 0u) scale = 0u;
  uint rcp = nibReciprocal(scale);
  b.rcp = vec4(uintBitsToFloat(rcp == 0u ? 0u : rcp | sign));
  if (b.scale_half != 0u) b.scale_half |= sign >> 16;
  return b;
}

// Codes of finite x.
ivec4 nibEncodeBlock4(vec4 x, NibBlock b) {
#if NIB_GGML_KIND == NIB_GGML_ABSMAX
  precise vec4 product = x * b.rcp;
  uvec4 y = floatBitsToUint(nibBounded(product, uvec4(0x42fe0000u)));  // 127
  // Rounds half away from zero: adding the largest number below 1/2 carries exactly the fractions from 1/2 on to the
  // next integer.
  precise vec4 moved = uintBitsToFloat(y) + uintBitsToFloat((y & 0x80000000u) | 0x3effffffu);
  return ivec4(moved);
#else
#if NIB_GGML_KIND == NIB_GGML_MINIMUM
  precise vec4 shifted = x - b.minimum;
  precise vec4 product = nibBounded(shifted, uvec4(0x7f7fffffu)) * b.rcp;
  precise vec4 moved = nibBounded(product, uvec4(0x43800000u)) + 0.5;
#else
  precise vec4 product = x * b.rcp;
  precise vec4 moved = nibBounded(product, uvec4(0x43800000u)) + (float(NIB_MID) + 0.5);
#endif
  // The conversion truncates, which rounds down for codes from 0 on.
  return clamp(ivec4(moved), ivec4(0), ivec4(NIB_LEVELS));
#endif
}

#endif
