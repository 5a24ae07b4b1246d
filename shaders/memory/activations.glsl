// Dense activations of type INPUT_TYPE at binding 3, loaded four neighbouring elements at a time. Rows begin and end at
// multiples of four elements.
#ifndef NIB_MEMORY_ACTIVATIONS_GLSL
#define NIB_MEMORY_ACTIVATIONS_GLSL

#include "numerics/halves.glsl"
#include "numerics/scale_store.glsl"

layout(set = 0, binding = 3, std430) readonly buffer Input2 { uvec2 input2[]; };
layout(set = 0, binding = 3, std430) readonly buffer Input4 { vec4 input4[]; };

// Columns col..col+3 of the row that begins at element row_start; zeros from `cols` on.
vec4 nibInputQuad(uint row_start, uint col, uint cols, uint delta) {
  if (!FULL && col >= cols) return vec4(0.0);
  uint quad = (row_start + col) >> 2;
  vec4 x;
  if (INPUT_TYPE == NIB_F32) {
    x = input4[quad + (delta >> 2)];
  } else {
    uvec2 words = input2[quad + (delta >> 1)];
    uvec4 upper = uvec4(words.x << 16, words.x, words.y << 16, words.y);
    x = uintBitsToFloat(INPUT_TYPE == NIB_BF16 ? upper & 0xffff0000u : nibWidenHalves(upper));
  }
  return x;
}

#endif
