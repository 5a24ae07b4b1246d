// Loads of cached keys (binding 0) and values (binding 3), eight neighbouring elements at a time. Declare before
// including: CACHE_TYPE, and the push constants of common/attention.h. Rows are multiples of eight elements.
#ifndef NIB_MEMORY_CACHE_GLSL
#define NIB_MEMORY_CACHE_GLSL

#include "numerics/exact.glsl"
#include "numerics/halves.glsl"

layout(set = 0, binding = 0, std430) readonly buffer Keys4 { uvec4 keys4[]; };
layout(set = 0, binding = 3, std430) readonly buffer Values4 { uvec4 values4[]; };

// fp32 numbers.
struct NibOctet {
  vec4 a, b;
};

NibOctet nibOctetOf(uvec4 words, bool bf16) {
  return NibOctet(uintBitsToFloat(nibWidenWords(words.xy, bf16)), uintBitsToFloat(nibWidenWords(words.zw, bf16)));
}

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

// NaN and infinities become 0, so that a weight of 0 times them is 0. Halves were made finite when they were widened.
vec4 nibFinite(vec4 x) {
  if (CACHE_TYPE == NIB_F16) return x;
  uvec4 bits = floatBitsToUint(x);
  return uintBitsToFloat(mix(bits, uvec4(0u), equal(bits & 0x7f800000u, uvec4(0x7f800000u))));
}

#endif
