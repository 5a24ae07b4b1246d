// Loads of cached keys (binding 0) and values (binding 3), eight neighbouring elements at a time. Declare before
// including: the constants and push constants of common/attention.h, and with NIB_FORMAT format.glsl, which decodes the
// codes of a quantized cache. Rows are multiples of eight elements.
#ifndef NIB_MEMORY_CACHE_GLSL
#define NIB_MEMORY_CACHE_GLSL

#include "numerics/exact.glsl"
#include "numerics/halves.glsl"

// fp32 numbers.
struct NibOctet {
  vec4 a, b;
};

NibOctet nibOctetOf(uvec4 words, bool bf16) {
  return NibOctet(uintBitsToFloat(nibWidenWords(words.xy, bf16)), uintBitsToFloat(nibWidenWords(words.zw, bf16)));
}

#ifdef NIB_FORMAT
#include "memory/codes.glsl"

layout(set = 0, binding = 0, std430) readonly buffer Keys1 { uint keys1[]; };
layout(set = 0, binding = 3, std430) readonly buffer Values1 { uint values1[]; };

#ifdef NIB_BLOCK_COLS
#define NIB_CACHE_GROUP uint(NIB_BLOCK_COLS)
#else
#define NIB_CACHE_GROUP GROUP
#endif

// words: eight codes. scale, zero: the words that hold those of group `group`.
NibOctet nibDecodeOctet(uvec2 words, uint scale, uint zero, uint group) {
  uint scale_bits = nibRuledScale(nibHalfToF32Bits((scale >> ((group & 1u) * 16u)) & 0xffffu));
  NibPart part = nibMakePart(scale_bits, nibZeroFromStored((zero >> ((group & 3u) * 8u)) & 0xffu, FLAGS));
  // A zero group is 0 for any codes.
  if (scale_bits == 0u) return NibOctet(vec4(0.0), vec4(0.0));
  return NibOctet(nibPart4(nibUnpack4(words.x), part) * part.scale, nibPart4(nibUnpack4(words.y), part) * part.scale);
}

// Eight codes from column `col` on of the row that starts at word `start` of `buffer`.
#if NIB_BITS_PER_CODE == 8
#define NIB_OCTET_WORDS(buffer, start, col) \
  uvec2(buffer[(start) + ((col) >> 2)], buffer[(start) + ((col) >> 2) + 1u])
#elif NIB_BITS_PER_CODE == 4
#define NIB_OCTET_WORDS(buffer, start, col) (uvec2(buffer[(start) + ((col) >> 3)]) >> uvec2(0u, 16u))
#else
#error "NIB_BITS_PER_CODE: add how eight codes are loaded"
#endif
#define NIB_LOAD_OCTET(buffer, start, col)                                                    \
  nibDecodeOctet(NIB_OCTET_WORDS(buffer, start, col),                                         \
                 buffer[(start) + push.scales_word + ((col) / NIB_CACHE_GROUP >> 1)],         \
                 (FLAGS & NIB_ASYMMETRIC) != 0u                                               \
                     ? buffer[(start) + push.zeros_word + ((col) / NIB_CACHE_GROUP >> 2)]     \
                     : 0u,                                                                    \
                 (col) / NIB_CACHE_GROUP)

// The index is computed modulo 2^32: a window may begin after the range's start.
NibOctet nibLoadKeys(uint row, uint col) {
  uint start = row * push.key_stride + push.keys_word + push.head.delta0;
  return NIB_LOAD_OCTET(keys1, start, col);
}

NibOctet nibLoadValues(uint row, uint col) {
  uint start = row * push.value_stride + push.values_word + push.head.delta3;
  return NIB_LOAD_OCTET(values1, start, col);
}

#else

layout(set = 0, binding = 0, std430) readonly buffer Keys4 { uvec4 keys4[]; };
layout(set = 0, binding = 3, std430) readonly buffer Values4 { uvec4 values4[]; };

// The index is computed in words, modulo 2^32: a window may begin after the range's start.
NibOctet nibLoadKeys(uint row, uint col) {
  uint element = row * push.key_stride + col;
  uint delta = push.keys_word + push.head.delta0;
  if (CACHE_TYPE == NIB_F32) {
    uint at = (element + delta) >> 2;
    return NibOctet(uintBitsToFloat(keys4[at]), uintBitsToFloat(keys4[at + 1u]));
  }
  return nibOctetOf(keys4[((element >> 1) + delta) >> 2], CACHE_TYPE == NIB_BF16);
}

NibOctet nibLoadValues(uint row, uint col) {
  uint element = row * push.value_stride + col;
  uint delta = push.values_word + push.head.delta3;
  if (CACHE_TYPE == NIB_F32) {
    uint at = (element + delta) >> 2;
    return NibOctet(uintBitsToFloat(values4[at]), uintBitsToFloat(values4[at + 1u]));
  }
  return nibOctetOf(values4[((element >> 1) + delta) >> 2], CACHE_TYPE == NIB_BF16);
}

#endif

// NaN and infinities become 0, so that a weight of 0 times them is 0. Halves were made finite when they were widened.
vec4 nibFinite(vec4 x) {
  if (CACHE_TYPE == NIB_F16) return x;
  uvec4 bits = floatBitsToUint(x);
  return uintBitsToFloat(mix(bits, uvec4(0u), equal(bits & 0x7f800000u, uvec4(0x7f800000u))));
}

#endif
