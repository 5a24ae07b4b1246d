// Rows of dense activations of any NibType, INPUT_TYPE, bound at binding 3, four neighbouring elements at a time. VEC: rows
// are aligned for that.
#ifndef NIBBLE_COMMON_ACTIVATIONS_GLSL
#define NIBBLE_COMMON_ACTIVATIONS_GLSL

#include "common/halves.glsl"
#include "common/scale_store.glsl"

layout(set = 0, binding = 3, std430) readonly buffer Input1 { uint input1[]; };
layout(set = 0, binding = 3, std430) readonly buffer Input2 { uvec2 input2[]; };
layout(set = 0, binding = 3, std430) readonly buffer Input4 { vec4 input4[]; };

float nibInputOne(uint element, uint delta) {
  if (INPUT_TYPE == NIB_F32) return uintBitsToFloat(input1[element + delta]);
  uint half_word = (input1[(element >> 1) + delta] >> ((element & 1u) * 16u)) & 0xffffu;
  return uintBitsToFloat(INPUT_TYPE == NIB_BF16 ? half_word << 16 : nibHalfToF32Bits(half_word));
}

vec4 nibWidenInput(uvec2 words) {
  uvec4 upper = uvec4(words.x << 16, words.x, words.y << 16, words.y);
  if (INPUT_TYPE == NIB_BF16) return uintBitsToFloat(upper & 0xffff0000u);
  return uintBitsToFloat(nibWidenHalves(upper));
}

// Columns col..col+3 of the row that begins at element row_start; zeros from `cols` on. whole: they lie before it.
vec4 nibInputQuad(uint row_start, uint col, uint cols, bool whole, uint delta) {
  if (VEC) {
    if (!whole && col >= cols) return vec4(0.0);
    uint quad = (row_start + col) >> 2;
    if (INPUT_TYPE == NIB_F32) return input4[quad + (delta >> 2)];
    return nibWidenInput(input2[quad + (delta >> 1)]);
  }
  vec4 x = vec4(0.0);
  uint at = row_start + col;
  if (whole || col < cols) x.x = nibInputOne(at, delta);
  if (whole || col + 1u < cols) x.y = nibInputOne(at + 1u, delta);
  if (whole || col + 2u < cols) x.z = nibInputOne(at + 2u, delta);
  if (whole || col + 3u < cols) x.w = nibInputOne(at + 3u, delta);
  return x;
}

#endif
