// Dense activations of type INPUT_TYPE at binding 3, loaded four neighbouring elements at a time. Rows begin and end at
// multiples of four elements.
#ifndef NIB_MEMORY_ACTIVATIONS_GLSL
#define NIB_MEMORY_ACTIVATIONS_GLSL

#include "numerics/halves.glsl"
#include "numerics/scale_store.glsl"

layout(set = 0, binding = 3, std430) readonly buffer Input2 { uvec2 input2[]; };
layout(set = 0, binding = 3, std430) readonly buffer Input4 { vec4 input4[]; };

// Quad `at` of the binding.
vec4 nibInputAt(uint at) {
  if (INPUT_TYPE == NIB_F32) return input4[at];
  return uintBitsToFloat(nibWidenWords(input2[at], INPUT_TYPE == NIB_BF16));
}

// The binding's quad that the row begins with whose first element is row_start. delta: words.
uint nibInputStart(uint row_start, uint delta) {
  return (row_start >> 2) + (delta >> (INPUT_TYPE == NIB_F32 ? 2 : 1));
}

// Columns col..col+3 of the row that begins at element row_start; zeros from `cols` on.
vec4 nibInputQuad(uint row_start, uint col, uint cols, uint delta) {
  if (!FULL && col >= cols) return vec4(0.0);
  return nibInputAt(nibInputStart(row_start + col, delta));
}

#endif
