// The upper factor U of NIB_OP_GPTQ at binding 1, [cols, cols] in windows of whole blocks of rows. VEC is a
// specialization constant of the including shader: rows allow loads of four elements. The push constants have cols,
// factor_word, window_row and window_rows.
#ifndef NIB_MEMORY_FACTOR_GLSL
#define NIB_MEMORY_FACTOR_GLSL

#include "numerics/gptq.glsl"

layout(set = 0, binding = 1, std430) readonly buffer Factor1 { uint factor1[]; };
layout(set = 0, binding = 1, std430) readonly buffer Factor4 { uvec4 factor4[]; };

// Whether the window of this dispatch holds the block of rows that begins at `first`.
bool nibHoldsBlock(uint first) {
  return first >= push.window_row && first - push.window_row < push.window_rows;
}

// Entries (row, col..col+3) of U; 0 beyond the last column. The row exists.
vec4 nibFactorQuad(uint row, uint col) {
  uint at = row * push.cols + push.factor_word + push.head.delta1;
  uvec4 bits;
  if (VEC) {
    bits = factor4[(at + min(col, push.cols - 4u)) >> 2];
    bits = col < push.cols ? bits : uvec4(0u);
  } else {
    uvec4 c = col + uvec4(0u, 1u, 2u, 3u);
    uvec4 i = at + min(c, uvec4(push.cols - 1u));
    bits = uvec4(factor1[i.x], factor1[i.y], factor1[i.z], factor1[i.w]);
    bits = mix(bits, uvec4(0u), greaterThanEqual(c, uvec4(push.cols)));
  }
  return uintBitsToFloat(nibFactorBits4(bits));
}

uint nibFactorOne(uint row, uint col) {
  return nibFactorBits(factor1[row * push.cols + col + push.factor_word + push.head.delta1]);
}

#endif
