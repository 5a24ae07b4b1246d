#version 450
// Rotary position embedding. An invocation rotates an item: four pairs of a head, or two; or it converts as many
// elements that are not rotated. Reads each of its elements (2 or 4 bytes) once before it writes them (2 or 4 bytes),
// so that the result may overwrite the source, and a cosine and a sine (8 bytes) for each pair. The dispatch of another
// window rotates the tokens whose row of the table lies there.
#extension GL_GOOGLE_include_directive : require
#include "ops/rope.h"
ROPE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { RopePush push; };

const bool FULL = true;
const bool WIDE = false;
#define NIB_DENSE_SOURCE
#define NIB_DENSE_RESULT
#define NIB_NONFINITE_CODES
#include "memory/dense.glsl"
#include "numerics/float_bits.glsl"
#include "numerics/whole_range.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Table1 { uint table1[]; };
layout(set = 0, binding = 0, std430) readonly buffer Table4 { uvec4 table4[]; };
layout(set = 0, binding = 3, std430) readonly buffer Indices { uint indices[]; };

#ifdef NIB_FAULT
#define NIB_FAULTY(item) ((item) % 7u == 6u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(item) 0u
#endif

const uint kInfinity32 = 0x7f800000u;

// Canonical patterns of four neighbours (VEC).
uvec4 loadQuad(uint at) {
  uint delta = push.source_word + push.head.delta1;
  uvec4 x = SOURCE_TYPE == NIB_F32 ? source4[(at >> 2) + (delta >> 2)] : nibWiden(source2[(at >> 2) + (delta >> 1)]);
  return nibCanonicalize(x);
}

// Canonical patterns of any four elements.
uvec4 loadFour(uvec4 at) {
  uvec4 index = (SOURCE_TYPE == NIB_F32 ? at : at >> 1u) + (push.source_word + push.head.delta1);
  uvec4 x = uvec4(source1[index.x], source1[index.y], source1[index.z], source1[index.w]);
  if (SOURCE_TYPE != NIB_F32) {
    x = mix(x << 16, x, notEqual(at & 1u, uvec4(0u)));
    x = SOURCE_TYPE == NIB_BF16 ? x & 0xffff0000u : nibWidenHalves(x);
  }
  return nibCanonicalize(x);
}

// Two neighbours of a result, the first at an even element.
void storeTwo(uint at, uvec2 x) {
  uint delta = push.result_word + push.head.delta2;
  if (RESULT_TYPE == NIB_F32) {
    result1[at + delta] = x.x;
    result1[at + 1u + delta] = x.y;
  } else {
    result1[(at >> 1) + delta] = nibNarrow(uvec4(x, 0u, 0u)).x;
  }
}

// The first elements of pairs (x, y) become x * c - y * s, the second y * c + x * s.
void rotate(inout uvec4 x, inout uvec4 y, uvec4 c, uvec4 s) {
  uvec4 first = nibSumBits4(nibProductBits4(x, c), nibProductBits4(y, s) ^ 0x80000000u);
  y = nibSumBits4(nibProductBits4(y, c), nibProductBits4(x, s));
  x = first;
}

// Item j of a head whose elements begin at `from` and `to`; at: the first element of its row of the table.
void rotateFour(uint from, uint to, uint at, uint j, uint fault) {
  bool rotated = j * 8u < push.rotary_size;
  bool halves = rotated && !INTERLEAVED;
  uint a = halves ? j * 4u : j * 8u;
  uint b = a + (halves ? push.rotary_size >> 1 : 4u);
  uvec4 u = loadQuad(from + a), v = loadQuad(from + b);
  if (rotated) {
    uint quad = ((at + j * 8u) >> 2) + ((push.table_word + push.head.delta0) >> 2);
    uvec4 t0 = nibCanonicalizeFrom(kInfinity32, table4[quad]), t1 = nibCanonicalizeFrom(kInfinity32, table4[quad + 1u]);
    uvec4 x = halves ? u : uvec4(u.xz, v.xz);
    uvec4 y = halves ? v : uvec4(u.yw, v.yw);
    rotate(x, y, uvec4(t0.xz, t1.xz), uvec4(t0.yw, t1.yw));
    u = halves ? x : uvec4(x.x, y.x, x.y, y.y);
    v = halves ? y : uvec4(x.z, y.z, x.w, y.w);
  }
  u.x ^= fault;
  nibStoreQuad(to, a, 0u, push.result_word + push.head.delta2, u);
  nibStoreQuad(to, b, 0u, push.result_word + push.head.delta2, v);
}

// The same with two pairs, or one at the end.
void rotateTwo(uint from, uint to, uint at, uint j, uint fault) {
  uint rotating = (push.rotary_size + 3u) >> 2;
  bool rotated = j < rotating;
  bool halves = rotated && !INTERLEAVED;
  uint end = rotated ? push.rotary_size : push.head_size;
  uint a = halves ? j * 2u : rotated ? j * 4u : push.rotary_size + (j - rotating) * 4u;
  uint b = a + (halves ? push.rotary_size >> 1 : 2u);
  bool both = b < end;
  uvec4 u = loadFour(from + uvec4(a, a + 1u, both ? uvec2(b, b + 1u) : uvec2(a, a + 1u)));
  if (rotated) {
    uvec4 index = min(j * 4u + uvec4(0u, 1u, 2u, 3u), push.rotary_size - uvec4(2u, 1u, 2u, 1u));
    index += at + push.table_word + push.head.delta0;
    uvec4 t = nibCanonicalizeFrom(kInfinity32,
                                  uvec4(table1[index.x], table1[index.y], table1[index.z], table1[index.w]));
    // Pairs in the lanes x and y; the other lanes are ignored.
    uvec4 x = halves ? u.xyxy : u.xzxz;
    uvec4 y = halves ? u.zwzw : u.ywyw;
    rotate(x, y, t.xzxz, t.ywyw);
    u = halves ? uvec4(x.xy, y.xy) : uvec4(x.x, y.x, x.y, y.y);
  }
  u.x ^= fault;
  storeTwo(to + a, u.xy);
  if (both) storeTwo(to + b, u.zw);
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint token = item / push.token_items;
  if (token >= push.head.rows) return;
  uint position = min(indices[push.indices_word + token + push.head.delta3], push.positions - 1u);
  if (position - push.window_row >= push.window_rows) return;
  uint in_token = item - token * push.token_items;
  uint head = in_token / push.head_items;
  uint j = in_token - head * push.head_items;
  uint from = token * push.source_stride + head * push.head_size;
  uint to = token * push.result_stride + head * push.head_size;
  uint at = position * push.rotary_size;
  if (VEC) {
    rotateFour(from, to, at, j, NIB_FAULTY(item));
  } else {
    rotateTwo(from, to, at, j, NIB_FAULTY(item));
  }
}
