// Runs of NIB_RUN neighbouring elements of a dense matrix, of any NibType, over word loads and stores. Include after
// declaring the spec constants VEC (rows and runs are aligned for loads of four elements) and FULL (every run is whole),
// and the buffers named below.
#ifndef NIBBLE_COMMON_DENSE_GLSL
#define NIBBLE_COMMON_DENSE_GLSL

#include "common/exact.glsl"
#include "common/scale_store.glsl"

#define NIB_QUADS (NIB_RUN / 4)

#ifdef NIB_DENSE_SOURCE
layout(set = 0, binding = 1, std430) readonly buffer Source1 { uint source1[]; };
layout(set = 0, binding = 1, std430) readonly buffer Source2 { uvec2 source2[]; };
layout(set = 0, binding = 1, std430) readonly buffer Source4 { uvec4 source4[]; };

uvec4 nibWiden(uvec2 words) {
  uvec4 halves = uvec4(words.x & 0xffffu, words.x >> 16, words.y & 0xffffu, words.y >> 16);
  if (SOURCE_TYPE == NIB_BF16) return halves << 16;
  return uvec4(nibHalfToF32Bits(halves.x), nibHalfToF32Bits(halves.y), nibHalfToF32Bits(halves.z),
               nibHalfToF32Bits(halves.w));
}

uint nibLoadOne(uint element, uint delta) {
  if (SOURCE_TYPE == NIB_F32) return source1[element + delta];
  uint half_word = (source1[(element >> 1) + delta] >> ((element & 1u) * 16u)) & 0xffffu;
  return SOURCE_TYPE == NIB_BF16 ? half_word << 16 : nibHalfToF32Bits(half_word);
}

// fp32 bits of elements col..col+3 of a row that starts at element row_start; those from cols on are 0.
// Indices are clamped, not left to robustness.
uvec4 nibLoadQuad(uint row_start, uint col, uint cols, uint delta) {
  uvec4 x;
  if (VEC) {
    // cols is a multiple of four, so a quad is inside or outside as a whole.
    uint inside = FULL ? col : min(col, cols - 4u);
    uint quad = (row_start + inside) >> 2;
    x = SOURCE_TYPE == NIB_F32 ? source4[quad + (delta >> 2)] : nibWiden(source2[quad + (delta >> 1)]);
    if (!FULL && col >= cols) x = uvec4(0u);
  } else {
    uint last = cols - 1u;
    for (uint i = 0u; i < 4u; ++i) {
      uint bits = nibLoadOne(row_start + min(col + i, last), delta);
      x[i] = col + i < cols ? bits : 0u;
    }
  }
  return x;
}
#endif

#ifdef NIB_DENSE_RESULT
layout(set = 0, binding = 2, std430) writeonly buffer Result1 { uint result1[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result2 { uvec2 result2[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result4 { uvec4 result4[]; };

uint nibNarrow(uint low, uint high) {
  return RESULT_TYPE == NIB_BF16 ? nibF32ToBf16Bits(low) | (nibF32ToBf16Bits(high) << 16)
                                 : nibF32ToHalfBits(low) | (nibF32ToHalfBits(high) << 16);
}

// Writes fp32 bits as elements col..col+3; those from cols on are left out, but for the other half of a shared word,
// which becomes 0. 16-bit rows start on a word.
void nibStoreQuad(uint row_start, uint col, uint cols, uint delta, uvec4 x) {
  if (FULL || col + 4u <= cols) {
    if (RESULT_TYPE == NIB_F32) {
      if (VEC) {
        result4[((row_start + col) >> 2) + (delta >> 2)] = x;
      } else {
        for (uint i = 0u; i < 4u; ++i) result1[row_start + col + i + delta] = x[i];
      }
    } else {
      uvec2 words = uvec2(nibNarrow(x.x, x.y), nibNarrow(x.z, x.w));
      if (VEC) {
        result2[((row_start + col) >> 2) + (delta >> 1)] = words;
      } else {
        uint word = ((row_start + col) >> 1) + delta;
        result1[word] = words.x;
        result1[word + 1u] = words.y;
      }
    }
    return;
  }
  for (uint i = 0u; i < 4u; ++i) {
    if (col + i >= cols) break;
    if (RESULT_TYPE == NIB_F32) {
      result1[row_start + col + i + delta] = x[i];
    } else if ((i & 1u) == 0u) {
      result1[((row_start + col + i) >> 1) + delta] = nibNarrow(x[i], col + i + 1u < cols ? x[i + 1u] : 0u);
    }
  }
}
#endif

#endif
