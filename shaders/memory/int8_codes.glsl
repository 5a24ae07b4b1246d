// The weights' codes of an int8 product, four to a word, as signed bytes. Codes of every format are centred: a
// symmetric format has zero point 0, and the bytes after a row's last code are 0. Declares the bindings of all int8
// products but 1. Include after declaring NibInt8Push push.
#ifndef NIB_MEMORY_INT8_CODES_GLSL
#define NIB_MEMORY_INT8_CODES_GLSL

layout(set = 0, binding = 0, std430) readonly buffer Weights1 { uint weights1[]; };
layout(set = 0, binding = 0, std430) readonly buffer Weights2 { uvec2 weights2[]; };
layout(set = 0, binding = 0, std430) readonly buffer Weights4 { uvec4 weights4[]; };
layout(set = 0, binding = 2, std430) buffer Result { uint result[]; };
layout(set = 0, binding = 3, std430) readonly buffer Separate { uint separate[]; };

#ifdef DOT4
#include "numerics/dot4.glsl"
#define nibDot(a, b) nibDot4(int(a), int(b))
#else
int nibByte0(uint a) { return int(a << 24) >> 24; }
int nibByte1(uint a) { return int(a << 16) >> 24; }
int nibByte2(uint a) { return int(a << 8) >> 24; }
int nibByte3(uint a) { return int(a) >> 24; }
int nibDot(uint a, uint b) {
  return nibByte0(a) * nibByte0(b) + nibByte1(a) * nibByte1(b) +
         (nibByte2(a) * nibByte2(b) + nibByte3(a) * nibByte3(b));
}
#endif

const uint kNibOnes = 0x01010101u;

// Four nibbles, the first in the low bits, as bytes minus 8.
uint nibSpreadNibbles(uint half_word) {
  uint spread = (half_word & 0xffu) | ((half_word & 0xff00u) << 8);
  spread = (spread & 0x000f000fu) | ((spread & 0x00f000f0u) << 4);
  return ((spread | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}

uint nibCenter(uint word, uint codes) { return codes == 1u ? word ^ 0x80808080u : word; }
uvec4 nibCenter4(uvec4 words, uint codes) { return codes == 1u ? words ^ 0x80808080u : words; }

// Words of four codes per row, and the mask of the last word's codes.
uint nibQuadWords() { return (push.cols + 3u) >> 2; }
uint nibTailMask() { return 0xffffffffu >> ((4u - push.cols & 3u) * 8u); }

uint nibMasked(uint word, uint k) { return FULL || k + 1u != nibQuadWords() ? word : word & nibTailMask(); }

// Word k of four codes. row: first word of the row, as stored.
uint nibWeightWord(uint row, uint k) {
  if (W_CODES == 2u) {
    uint word = weights1[row + (k >> 1) + push.head.delta0];
    return nibMasked(nibSpreadNibbles(word >> ((k & 1u) * 16u)), k);
  }
  return nibMasked(nibCenter(weights1[row + k + push.head.delta0], W_CODES), k);
}

uvec4 nibMasked4(uvec4 words, uint k) {
  if (!FULL && k + 4u >= nibQuadWords()) {
    uvec4 at = k + uvec4(0u, 1u, 2u, 3u);
    uint last = nibQuadWords() - 1u;
    words = mix(mix(uvec4(0u), words & nibTailMask(), equal(at, uvec4(last))), words, lessThan(at, uvec4(last)));
  }
  return words;
}

// Words k..k+3 with VEC, where rows are multiples of four words. k is a multiple of four.
uvec4 nibWeightWords(uint row, uint k) {
  if (W_CODES == 2u) {
    uvec2 words = weights2[(row + (k >> 1) + push.head.delta0) >> 1];
    return nibMasked4(uvec4(nibSpreadNibbles(words.x), nibSpreadNibbles(words.x >> 16), nibSpreadNibbles(words.y),
                            nibSpreadNibbles(words.y >> 16)), k);
  }
  return nibMasked4(nibCenter4(weights4[(row + k + push.head.delta0) >> 2], W_CODES), k);
}

// The same with or without VEC. k is any number; words after the row's last are 0.
uvec4 nibWeightFour(uint row, uint k) {
  if (VEC) return nibWeightWords(row, k);
  uvec4 at = k + uvec4(0u, 1u, 2u, 3u);
  uvec4 last = uvec4(nibQuadWords() - 1u);
  uvec4 from = min(at, last);
  uvec4 words = uvec4(nibWeightWord(row, from.x), nibWeightWord(row, from.y), nibWeightWord(row, from.z),
                      nibWeightWord(row, from.w));
  return mix(uvec4(0u), words, lessThanEqual(at, last));
}

#endif
