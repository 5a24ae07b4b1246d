// From integer sums to the words of the result: scales, bias, activation, residual, rounding. Every function takes four
// neighbouring output channels of a token. Products and sums have no denormals and no infinities: below 2^-126 they are
// +0, and from 2^127 on the largest number below it. src/reference/int8_gemm.cpp is the C++ counterpart.
#ifndef NIB_PRODUCTS_INT8_EPILOGUE_GLSL
#define NIB_PRODUCTS_INT8_EPILOGUE_GLSL

#include "common/nibble_constants.h"
#include "numerics/exact.glsl"
#include "numerics/halves.glsl"
#include "numerics/scale_store.glsl"

#define NIB_CODES_RESULT (RESULT_TYPE == NIB_RESULT_I8 || RESULT_TYPE == NIB_RESULT_U8)
#define NIB_HALF_RESULT (RESULT_TYPE == NIB_F16 || RESULT_TYPE == NIB_BF16)

const uint kNibMost = 0x7effffffu;  // the largest number below 2^127

uint nibWeightParameter(uint word) {
  return W_SEPARATE ? separate[word + push.head.delta3] : weights1[word + push.head.delta0];
}

uint nibScaleOf(uint word, uint index, uint type) {
  return nibRuledScale(nibScaleFromStored(type == NIB_F32 ? word : word >> ((index & 1u) * 16u) & 0xffffu, type));
}
uint nibWeightScale(uint index) {
  return nibScaleOf(nibWeightParameter(push.w_scales_word + (W_SCALE == NIB_F32 ? index : index >> 1)), index, W_SCALE);
}

// A stored zero point, centred as the codes are.
int nibZeroOf(uint word, uint index, uint codes) {
  int stored = int(word << (24u - (index & 3u) * 8u)) >> 24;
  return codes == 0u ? stored : codes == 1u ? (stored & 0xff) - 128 : (stored & 0xf) - 8;
}
int nibWeightZero(uint index) {
  return W_ASYM ? nibZeroOf(nibWeightParameter(push.w_zeros_word + (index >> 2)), index, W_CODES) : 0;
}

#ifdef NIB_STAGED
#include "memory/staged_input.glsl"
#else
#include "memory/int8_input.glsl"
#endif

// Products of normal numbers or zeros. Mantissas and exponents are multiplied separately, so that nothing overflows.
uvec4 nibMulBits4(uvec4 a, uvec4 b) {
  precise vec4 product = uintBitsToFloat((a & 0x007fffffu) | 0x3f800000u) *
                         uintBitsToFloat((b & 0x007fffffu) | 0x3f800000u);
  uvec4 bits = floatBitsToUint(product);
  ivec4 exponent = ivec4((a >> 23) & 255u) + ivec4((b >> 23) & 255u) + ivec4(bits >> 23) - 254;
  uvec4 magnitude = (uvec4(exponent) << 23) | (bits & 0x007fffffu);
  magnitude = mix(magnitude, uvec4(kNibMost), greaterThan(exponent, ivec4(253)));
  magnitude = mix(magnitude | ((a ^ b) & 0x80000000u), uvec4(0u), lessThanEqual(exponent, ivec4(0)));
  uvec4 least = min(a & 0x7f800000u, b & 0x7f800000u);
  return mix(magnitude, uvec4(0u), equal(least, uvec4(0u)));
}

// nibI32ToF32Bits of four ints: rounded to nearest even.
uvec4 nibFloatsOf(ivec4 i) {
  uvec4 negative = uvec4(i >> 31);  // all ones or 0
  uvec4 magnitude = (uvec4(i) ^ negative) - negative;
  uvec4 msb = uvec4(findMSB(magnitude | 1u));
  uvec4 aligned = magnitude << (31u - msb);  // the leading 1 in bit 31, 8 bits too many below
  uvec4 kept = aligned >> 8;
  uvec4 rounded = kept + ((aligned & 0xffu) + (kept & 1u) + 0x7fu >> 8);
  uvec4 bits = (uvec4(i) & 0x80000000u) | (((msb + 126u) << 23) + rounded);
  return mix(bits, uvec4(0u), equal(i, ivec4(0)));
}

// Values up to the largest allowed; denormals, infinities and NaN become 0.
uvec4 nibOrdinary(uvec4 bits) {
  uvec4 magnitude = bits & 0x7fffffffu;
  uvec4 ordinary = min(magnitude, uvec4(kNibMost)) | (bits & 0x80000000u);
  bvec4 number = lessThan(magnitude - 0x00800000u, uvec4(0x7f000000u));
  return mix(uvec4(0u), ordinary, number);
}

// The sum of normal numbers up to the largest allowed, or zeros.
uvec4 nibAddBits(uvec4 a, uvec4 b) {
  precise vec4 sum = uintBitsToFloat(a) + uintBitsToFloat(b);
  return nibOrdinary(floatBitsToUint(sum));
}

// (float(sum) * sx) * sw. With scales from 2^-40 to 2^40, as nearly all are, plain products can neither overflow nor
// become denormal.
uvec4 nibScaleSums(ivec4 sum, uint sx, uvec4 sw) {
  uvec4 f = SMALL_SUMS ? floatBitsToUint(vec4(sum)) : nibFloatsOf(sum);
  uint far = max(max(sw.x - 0x2b800000u, sw.y - 0x2b800000u), max(sw.z - 0x2b800000u, sw.w - 0x2b800000u));
  if (max(far, sx - 0x2b800000u) <= 0x28000000u) {
    precise vec4 first = uintBitsToFloat(f) * uintBitsToFloat(sx);
    precise vec4 second = first * uintBitsToFloat(sw);
    return floatBitsToUint(second);
  }
  return nibMulBits4(nibMulBits4(f, uvec4(sx)), sw);
}

// Weights rows row..row+3; rows after the last repeat it.
uvec4 nibQuadRows(uint row) { return min(row + uvec4(0u, 1u, 2u, 3u), uvec4(push.rows - 1u)); }

// Scales and zero points at column `col`.
uvec4 nibWeightScales(uvec4 rows, uint col) {
  uint group = GROUPED ? col / push.w_group : 0u;
  uvec4 index = rows * push.w_scale_stride + group;
  return uvec4(nibWeightScale(index.x), nibWeightScale(index.y), nibWeightScale(index.z), nibWeightScale(index.w));
}
ivec4 nibWeightZeros(uvec4 rows, uint col) {
  if (!W_ASYM) return ivec4(0);
  uint group = GROUPED ? col / push.w_group : 0u;
  uvec4 index = rows * push.w_scale_stride + group;
  return ivec4(nibWeightZero(index.x), nibWeightZero(index.y), nibWeightZero(index.z), nibWeightZero(index.w));
}

// Codes of y within first..first + 255, as NIB_OP_QUANTIZE makes them with a given scale.
ivec4 nibRequantize(uvec4 y, uint rcp, int zero, int first) {
  vec4 bounded = nibBounded(uintBitsToFloat(y), nibEncoderBound(uvec4(rcp)));
  precise vec4 steps = bounded * uintBitsToFloat(rcp);
  precise vec4 rounded = steps + 12582912.0;
  return clamp(floatBitsToInt(rounded) + (zero - 0x4b400000), ivec4(first), ivec4(first + 255));
}

// y plus the products of a token's outliers, in ascending columns.
uvec4 nibWithOutliers(uint token, uint row, uvec4 y) {
  uint at = push.outliers_word + token * (1u + 2u * OUTLIERS);
  uint end = at + 2u * nibInputParameter(at);
  uvec4 rows = nibQuadRows(row);
  uvec4 first = rows * push.w_row_words;
  for (; at < end; at += 2u) {
    uint col = nibInputParameter(at + 1u);
    uint k = col >> 2;
    uvec4 words = uvec4(nibWeightWord(first.x, k), nibWeightWord(first.y, k), nibWeightWord(first.z, k),
                        nibWeightWord(first.w, k));
    ivec4 code = ivec4(words << (24u - (col & 3u) * 8u)) >> 24;
    uvec4 w = nibMulBits4(floatBitsToUint(vec4(code - nibWeightZeros(rows, col))), nibWeightScales(rows, col));
    y = nibAddBits(y, nibMulBits4(w, uvec4(nibInputParameter(at + 2u))));
  }
  return y;
}

#ifdef SMOOTH
#include "numerics/activation.glsl"
#endif

uvec4 nibActivated(uvec4 y) {
#ifdef SMOOTH
  vec4 x = uintBitsToFloat(y);
  return nibOrdinary(floatBitsToUint(vec4(nibActivate(x.x), nibActivate(x.y), nibActivate(x.z), nibActivate(x.w))));
#else
  if (ACTIVATION == 0u) return y;
  if (ACTIVATION >= NIB_GELU) {
    ivec4 code = nibRequantize(y, push.table_rcp, push.zeros >> 16, 0);
    return nibOrdinary(uvec4(nibWeightParameter(push.table_word + uint(code.x)),
                             nibWeightParameter(push.table_word + uint(code.y)),
                             nibWeightParameter(push.table_word + uint(code.z)),
                             nibWeightParameter(push.table_word + uint(code.w))));
  }
  uvec4 positive = mix(y, uvec4(0u), lessThan(ivec4(y), ivec4(0)));
  return ACTIVATION == NIB_RELU6 ? min(positive, uvec4(0x40c00000u)) : positive;
#endif
}

// Previous result elements as fp32 bits, with the infinities and NaN of halves.
uvec4 nibHeld(uvec4 stored) {
  if (RESULT_TYPE == NIB_F16) {
    uvec4 none = ((stored & 0x8000u) << 16) | ((stored & 0x03ffu) << 13) | 0x7f800000u;
    return mix(nibWidenHalves(stored << 16), none, equal(stored & 0x7c00u, uvec4(0x7c00u)));
  }
  if (RESULT_TYPE == NIB_BF16) return stored << 16;
  if (!NIB_CODES_RESULT) return stored;
  ivec4 code = RESULT_TYPE == NIB_RESULT_I8 ? ivec4(stored << 24) >> 24 : ivec4(stored);
  return nibMulBits4(floatBitsToUint(vec4(code - ((push.zeros << 16) >> 16))), uvec4(push.result_scale));
}

// y as 16-bit elements, in the low halves. Infinities and NaN can only come from the residual.
uvec4 nibNarrowed(uvec4 y) {
  bvec4 nan = greaterThan(y & 0x7fffffffu, uvec4(0x7f800000u));
  uvec4 sign = (y & 0x80000000u) >> 16;
  if (RESULT_TYPE == NIB_F16) return mix(nibNarrowHalves(y), sign | 0x7e00u, nan);
  return mix((y + 0x7fffu + ((y >> 16) & 1u)) >> 16, sign | 0x7fc0u, nan);
}

uvec4 nibWithResidual(uvec4 y, uvec4 stored) {
  uvec4 held = nibHeld(stored);
  bvec4 none = greaterThanEqual(held & 0x7fffffffu, uvec4(0x7f800000u));
  return mix(nibAddBits(y, nibOrdinary(held)), held, none);
}

uvec4 nibBias(uint matrix, uvec4 rows) {
  uvec4 at = push.bias_word + matrix * push.rows + rows;
  return nibOrdinary(uvec4(nibWeightParameter(at.x), nibWeightParameter(at.y), nibWeightParameter(at.z),
                           nibWeightParameter(at.w)));
}

// Declares a function `name`: element j of the eight of `from`, selected without a variable index, which would keep the
// array out of registers.
#define NIB_SELECT(type, name, from)            \
  type name(uint j) {                           \
    type low = j == 0u ? from[0] : from[1];     \
    type next = j == 2u ? from[2] : from[3];    \
    type high = j == 4u ? from[4] : from[5];    \
    type last = j == 6u ? from[6] : from[7];    \
    low = j < 2u ? low : next;                  \
    high = j < 6u ? high : last;                \
    return j < 4u ? low : high;                 \
  }

#if defined(NIB_FAULT) && defined(SMOOTH)
// A planted fault, which tests must detect: in every type it exceeds the bound of bounded results.
#define NIB_FAULTY_ROW(row) ((row) % 12u == 8u ? 0x4000u : 0u)
#elif defined(NIB_FAULT)
#define NIB_FAULTY_ROW(row) ((row) % 12u == 8u ? 1u : 0u)
#else
#define NIB_FAULTY_ROW(row) 0u
#endif

// Finishes and writes channels row..row+3 of a token: sum if the result is int32, else y. Channels after the last are
// left out, except that the rest of a shared word becomes 0.
void nibFinishQuad(uint matrix, uint token, uint row, ivec4 sum, uvec4 y) {
  uint at = (matrix * push.tokens + token) * push.result_stride + row;
  uint left = push.rows - row;
  if (RESULT_TYPE != NIB_RESULT_I32) {
    if (OUTLIERS != 0u) y = nibWithOutliers(token, row, y);
    if (BIAS) y = nibAddBits(y, nibBias(matrix, nibQuadRows(row)));
    y = nibActivated(y);
  }
  if (NIB_CODES_RESULT) {
    uint word = (at >> 2) + push.head.delta2;
    if (RESIDUAL) {
      uint held = result[word];
      y = nibWithResidual(y, uvec4(held, held >> 8, held >> 16, held >> 24) & 0xffu);
    }
    // A scalar: Mesa misreads a vector of specialization constants that depends on a scalar condition.
    int first = RESULT_TYPE == NIB_RESULT_I8 ? -128 : 0;
    uvec4 code = uvec4(nibRequantize(y, push.result_rcp, (push.zeros << 16) >> 16, first)) & 0xffu;
    uint packed = (code.x | (code.y << 8)) | ((code.z << 16) | (code.w << 24));
    result[word] = (left < 4u ? packed & (0xffffffffu >> ((4u - left) * 8u)) : packed) ^ NIB_FAULTY_ROW(row);
  } else if (NIB_HALF_RESULT) {
    uint word = (at >> 1) + push.head.delta2;
    if (RESIDUAL) {
      uint low = result[word], high = left > 2u ? result[word + 1u] : 0u;
      y = nibWithResidual(y, uvec4(low & 0xffffu, low >> 16, high & 0xffffu, high >> 16));
    }
    uvec4 h = nibNarrowed(y);
    result[word] = (h.x | (left > 1u ? h.y << 16 : 0u)) ^ NIB_FAULTY_ROW(row);
    if (left > 2u) result[word + 1u] = h.z | (left > 3u ? h.w << 16 : 0u);
  } else {
    uint word = at + push.head.delta2;
    if (RESIDUAL && RESULT_TYPE != NIB_RESULT_I32) {
      uvec4 index = word + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u));
      y = nibWithResidual(y, uvec4(result[index.x], result[index.y], result[index.z], result[index.w]));
    }
    uvec4 bits = RESULT_TYPE == NIB_RESULT_I32 ? uvec4(sum) : y;
    result[word] = bits.x ^ NIB_FAULTY_ROW(row);
    if (left > 1u) result[word + 1u] = bits.y;
    if (left > 2u) result[word + 2u] = bits.z;
    if (left > 3u) result[word + 3u] = bits.w;
  }
}

#endif
