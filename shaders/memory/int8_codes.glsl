// Codes of both sides of an int8 product, four to a word, as signed bytes around 0: whatever its format, a symmetric side
// has zero point 0, and what lies beyond a row's last code is 0. The including shader has declared NibInt8Push push.
#ifndef NIBBLE_MEMORY_INT8_CODES_GLSL
#define NIBBLE_MEMORY_INT8_CODES_GLSL

layout(set = 0, binding = 0, std430) readonly buffer Weights1 { uint weights1[]; };
layout(set = 0, binding = 0, std430) readonly buffer Weights2 { uvec2 weights2[]; };
layout(set = 0, binding = 0, std430) readonly buffer Weights4 { uvec4 weights4[]; };
layout(set = 0, binding = 2, std430) buffer Result { uint result[]; };
layout(set = 0, binding = 3, std430) readonly buffer Apart { uint apart[]; };

#ifdef DOT4
#include "numerics/dot4.glsl"
#define nibDot(a, b) nibDot4(int(a), int(b))
#else
int nibByte0(uint a) { return int(a << 24) >> 24; }
int nibByte1(uint a) { return int(a << 16) >> 24; }
int nibByte2(uint a) { return int(a << 8) >> 24; }
int nibByte3(uint a) { return int(a) >> 24; }
int nibDot(uint a, uint b) {
  return nibByte0(a) * nibByte0(b) + nibByte1(a) * nibByte1(b) + (nibByte2(a) * nibByte2(b) + nibByte3(a) * nibByte3(b));
}
#endif

const uint kNibOnes = 0x01010101u;

// Four nibbles, the first in the low bits, as bytes less 8.
uint nibSpreadNibbles(uint half_word) {
  uint spread = (half_word & 0xffu) | ((half_word & 0xff00u) << 8);
  spread = (spread & 0x000f000fu) | ((spread & 0x00f000f0u) << 4);
  return ((spread | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}

uint nibCenter(uint word, uint codes) { return codes == 1u ? word ^ 0x80808080u : word; }
uvec4 nibCenter4(uvec4 words, uint codes) { return codes == 1u ? words ^ 0x80808080u : words; }

// Words of four codes per row, and what of the last of them counts.
uint nibQuadWords() { return (push.cols + 3u) >> 2; }
uint nibTailMask() { return 0xffffffffu >> ((4u - push.cols & 3u) * 8u); }

uint nibMasked(uint word, uint k) { return FULL || k + 1u != nibQuadWords() ? word : word & nibTailMask(); }

// Word k of the row that begins at `row` (words from the range's start, or 4-bit weights' words).
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

// Words k..k+3, k a multiple of four, with VEC: rows are whole fours of words.
uvec4 nibWeightWords(uint row, uint k) {
  if (W_CODES == 2u) {
    uvec2 words = weights2[(row + (k >> 1) + push.head.delta0) >> 1];
    return nibMasked4(uvec4(nibSpreadNibbles(words.x), nibSpreadNibbles(words.x >> 16), nibSpreadNibbles(words.y),
                            nibSpreadNibbles(words.y >> 16)), k);
  }
  return nibMasked4(nibCenter4(weights4[(row + k + push.head.delta0) >> 2], W_CODES), k);
}

// The same with VEC or without, zeros behind the row's last word; k is not.
uvec4 nibWeightFour(uint row, uint k) {
  if (VEC) return nibWeightWords(row, k);
  uvec4 at = k + uvec4(0u, 1u, 2u, 3u);
  uvec4 last = uvec4(nibQuadWords() - 1u);
  uvec4 from = min(at, last);
  uvec4 words = uvec4(nibWeightWord(row, from.x), nibWeightWord(row, from.y), nibWeightWord(row, from.z), nibWeightWord(row, from.w));
  return mix(uvec4(0u), words, lessThanEqual(at, last));
}

#endif
