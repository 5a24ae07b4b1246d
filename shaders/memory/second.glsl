// Loads of a second dense matrix, at binding 3, of type SECOND_TYPE. VEC: its rows are aligned for loads of four
// elements. Include memory/dense.glsl first.
#ifndef NIB_MEMORY_SECOND_GLSL
#define NIB_MEMORY_SECOND_GLSL

layout(set = 0, binding = 3, std430) readonly buffer Second1 { uint second1[]; };
layout(set = 0, binding = 3, std430) readonly buffer Second2 { uvec2 second2[]; };
layout(set = 0, binding = 3, std430) readonly buffer Second4 { uvec4 second4[]; };

// As kNibInfinity.
const uint kNibSecondInfinity = SECOND_TYPE == NIB_F16 ? 0x47800000u : 0x7f800000u;

// fp32 bits of four elements from col on; columns beyond the row repeat its last.
uvec4 nibSecondQuad(uint row_start, uint col, uint cols, uint delta) {
  if (VEC) {
    uint quad = (row_start + min(col, cols - 4u)) >> 2;
    if (SECOND_TYPE == NIB_F32) return second4[quad + (delta >> 2)];
    return nibWidenWords(second2[quad + (delta >> 1)], SECOND_TYPE == NIB_BF16);
  }
  uvec4 at = row_start + min(col + uvec4(0u, 1u, 2u, 3u), uvec4(cols - 1u));
  uvec4 index = (SECOND_TYPE == NIB_F32 ? at : at >> 1u) + delta;
  uvec4 words = uvec4(second1[index.x], second1[index.y], second1[index.z], second1[index.w]);
  if (SECOND_TYPE == NIB_F32) return words;
  uvec4 upper = mix(words << 16, words, notEqual(at & 1u, uvec4(0u)));
  return SECOND_TYPE == NIB_BF16 ? upper & 0xffff0000u : nibWidenHalves(upper);
}

#endif
