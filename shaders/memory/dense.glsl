// Loads and stores of a dense matrix of any NibType, over word loads and stores. NIB_DENSE_SOURCE declares a source at
// binding 1, NIB_DENSE_RESULT a result at binding 2. Declare before including:
//   VEC          rows and runs are aligned for loads of four elements
//   FULL         every run is whole
//   SOURCE_TYPE  or RESULT_TYPE, a NibType
//   WIDE         rows of a 16-bit source are aligned for loads of eight elements
// Include memory/codes.glsl first to load whole runs of NIB_RUN elements.
#ifndef NIB_MEMORY_DENSE_GLSL
#define NIB_MEMORY_DENSE_GLSL

#include "numerics/exact.glsl"
#include "numerics/halves.glsl"
#include "numerics/scale_store.glsl"

// All ones where col + 0..3 is a column of the row.
uvec4 nibInside(uint col, uint cols) {
  uvec4 at = col + uvec4(0u, 1u, 2u, 3u);
  return uvec4(at.x < cols ? ~0u : 0u, at.y < cols ? ~0u : 0u, at.z < cols ? ~0u : 0u, at.w < cols ? ~0u : 0u);
}

#ifdef NIB_DENSE_SOURCE
layout(set = 0, binding = 1, std430) readonly buffer Source1 { uint source1[]; };
layout(set = 0, binding = 1, std430) readonly buffer Source2 { uvec2 source2[]; };
layout(set = 0, binding = 1, std430) readonly buffer Source4 { uvec4 source4[]; };

// Loaded bits whose magnitude is this or more are not finite. Loads return the Inf and NaN of halves as 65536 and
// above.
const uint kNibInfinity = SOURCE_TYPE == NIB_F16 ? 0x47800000u : 0x7f800000u;

bool nibIsBeyond(uint bits) {
  return (bits & 0x7fffffffu) >= kNibInfinity;
}

uvec4 nibWiden(uvec2 words) {
  uvec4 upper = uvec4(words.x << 16, words.x, words.y << 16, words.y);
  return SOURCE_TYPE == NIB_BF16 ? upper & 0xffff0000u : nibWidenHalves(upper);
}

// Columns beyond a row's end load as some of its last elements or as zeros, never as data from beyond it. Indices are
// clamped, so that no load depends on robust buffer access.

// All ones in those halves of four words that hold elements of the row, from col on.
uvec4 nibInsideWords(uint col, uint cols) {
  uvec4 lower = nibInside(col, cols);
  uvec4 upper = nibInside(col + 4u, cols);
  return uvec4((lower.x & 0xffffu) | (lower.y << 16), (lower.z & 0xffffu) | (lower.w << 16),
               (upper.x & 0xffffu) | (upper.y << 16), (upper.z & 0xffffu) | (upper.w << 16));
}

// The words of eight 16-bit elements from col on.
uvec4 nibLoadWords8(uint row_start, uint col, uint cols, uint delta) {
  if (WIDE) {
    uint inside = FULL ? col : min(col, cols - 8u);
    return source4[((row_start + inside) >> 3) + (delta >> 2)];
  }
  if (VEC) {
    uvec2 quads = (row_start + (FULL ? uvec2(col, col + 4u) : min(uvec2(col, col + 4u), uvec2(cols - 4u)))) >> 2u;
    return uvec4(source2[quads.x + (delta >> 1)], source2[quads.y + (delta >> 1)]);
  }
  // Rows may start within a word, so the elements take four or five words. An unneeded fifth word may be outside the
  // binding's range.
  uint at = row_start + col;
  uint last = min(row_start + cols - 1u, at + 7u) >> 1;
  uvec4 index = min((at >> 1) + uvec4(0u, 1u, 2u, 3u), uvec4(last)) + delta;
  uvec4 words = uvec4(source1[index.x], source1[index.y], source1[index.z], source1[index.w]);
  uint next = source1[min((at >> 1) + 4u, last) + delta];
  if ((at & 1u) != 0u) words = (words >> 16) | (uvec4(words.yzw, next) << 16);
  return FULL ? words : words & nibInsideWords(col, cols);
}

// Magnitudes of four 16-bit elements, not widened.
uvec4 nibMagnitudes(uvec2 words) {
  return uvec4(words.x, words.x >> 16, words.y, words.y >> 16) & 0x7fffu;
}

uvec4 nibWidenMagnitudes(uvec4 magnitudes) {
  return SOURCE_TYPE == NIB_BF16 ? magnitudes << 16 : nibWidenHalves(magnitudes << 16);
}

uint nibLoadOne(uint element, uint delta) {
  if (SOURCE_TYPE == NIB_F32) return source1[element + delta];
  uint half_word = (source1[(element >> 1) + delta] >> ((element & 1u) * 16u)) & 0xffffu;
  return SOURCE_TYPE == NIB_BF16 ? half_word << 16 : nibHalfToF32Bits(half_word);
}

// Four fp32 elements from col on.
uvec4 nibLoadQuad32(uint row_start, uint col, uint cols, uint delta) {
  // VEC: cols is a multiple of four, so a quad is inside or outside as a whole.
  if (VEC) return source4[((row_start + (FULL ? col : min(col, cols - 4u))) >> 2) + (delta >> 2)];
  uvec4 at = row_start + col + uvec4(0u, 1u, 2u, 3u);
  if (!FULL) at = min(at, uvec4(row_start + cols - 1u));
  at += delta;
  return uvec4(source1[at.x], source1[at.y], source1[at.z], source1[at.w]);
}

// fp32 bits of eight elements from col on.
void nibLoadPair(uint row_start, uint col, uint cols, uint delta, out uvec4 x0, out uvec4 x1) {
  if (SOURCE_TYPE == NIB_F32) {
    x0 = nibLoadQuad32(row_start, col, cols, delta);
    x1 = nibLoadQuad32(row_start, col + 4u, cols, delta);
  } else {
    uvec4 words = nibLoadWords8(row_start, col, cols, delta);
    x0 = nibWiden(words.xy);
    x1 = nibWiden(words.zw);
  }
}

// The number of elements before `end` that are not finite; `first` becomes the column of the first, if there is one.
// Slow: for runs that are known to hold one.
uint nibCountBeyond(uint row_start, uint col, uint end, uint delta, inout uint first) {
  uint count = 0u;
  for (uint i = end; i > col; --i) {
    if (nibIsBeyond(nibLoadOne(row_start + i - 1u, delta))) {
      ++count;
      first = i - 1u;
    }
  }
  return count;
}

#ifdef NIB_EACH_PAIR
// fp32 bits of a run from col on.
void nibLoadRun(uint row_start, uint col, uint cols, uint delta, out uvec4 x[NIB_QUADS]) {
#define NIB_LOAD(a, b) nibLoadPair(row_start, col + 4u * a, cols, delta, x[a], x[b]);
  NIB_EACH_PAIR(NIB_LOAD)
}
#endif
#endif

#ifdef NIB_DENSE_RESULT
layout(set = 0, binding = 2, std430) writeonly buffer Result1 { uint result1[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result2 { uvec2 result2[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result4 { uvec4 result4[]; };

// Four fp32 values as four of a 16-bit type. They are zero or normal numbers, so bfloat16 rounds without a check for
// NaN and denormals.
uvec2 nibNarrowTo(uint type, uvec4 x) {
  if (type == NIB_BF16) {
    uvec4 r = x + 0x7fffu + ((x >> 16) & 1u);
    return uvec2((r.x >> 16) | (r.y & 0xffff0000u), (r.z >> 16) | (r.w & 0xffff0000u));
  }
  uvec4 half4 = nibNarrowHalves(x);
#ifdef NIB_NONFINITE_CODES
  half4 |= mix(uvec4(0u), uvec4(0x0200u), greaterThan(x & 0x7fffffffu, uvec4(0x7f800000u)));  // NaN
#endif
  return uvec2(half4.x | (half4.y << 16), half4.z | (half4.w << 16));
}

uvec2 nibNarrow(uvec4 x) {
  return nibNarrowTo(RESULT_TYPE, x);
}

// Writes fp32 bits as elements col..col+3 of a type and leaves out those from `cols` on. If the row ends within a word,
// the rest of the word becomes 0. 16-bit rows start on a word.
void nibStoreQuadAs(uint type, uint row_start, uint col, uint cols, uint delta, uvec4 x) {
  if (FULL || col + 4u <= cols) {
    if (type == NIB_F32) {
      if (VEC) {
        result4[((row_start + col) >> 2) + (delta >> 2)] = x;
      } else {
        uint at = row_start + col + delta;
        result1[at] = x.x;
        result1[at + 1u] = x.y;
        result1[at + 2u] = x.z;
        result1[at + 3u] = x.w;
      }
    } else {
      uvec2 words = nibNarrowTo(type, x);
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
  uint left = col < cols ? cols - col : 0u;  // 0..3
  if (type == NIB_F32) {
    uint at = row_start + col + delta;
    if (left > 0u) result1[at] = x.x;
    if (left > 1u) result1[at + 1u] = x.y;
    if (left > 2u) result1[at + 2u] = x.z;
  } else {
    uvec2 words = nibNarrowTo(type, uvec4(x.x, left > 1u ? x.y : 0u, x.z, 0u));
    uint at = ((row_start + col) >> 1) + delta;
    if (left > 0u) result1[at] = words.x;
    if (left > 2u) result1[at + 1u] = words.y;
  }
}

void nibStoreQuad(uint row_start, uint col, uint cols, uint delta, uvec4 x) {
  nibStoreQuadAs(RESULT_TYPE, row_start, col, cols, delta, x);
}
#endif

#endif
