#version 450
// Transforms of blocks of rows by Hadamard matrices: butterflies, and with MATRIX a matrix of another order across the
// first axis. A workgroup keeps a tile in shared memory: whole neighbouring blocks; or, where a block is too long,
// first parts of it with all of its short butterflies, then RUN neighbouring columns of all parts. An invocation has
// every WG-th quad of the tile. Reads every element once (2 or 4 bytes), before any of the tile is written, and with
// SIGNS the number of its column (4 bytes); writes every result once (2 or 4 bytes).
#extension GL_GOOGLE_include_directive : require
#include "ops/hadamard.h"
HADAMARD_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { HadamardPush push; };

#include "common/nibble_constants.h"
const bool FULL = false;
const bool WIDE = false;
#define NIB_DENSE_SOURCE
#define NIB_DENSE_RESULT
#include "memory/dense.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Signs { uint signs[]; };

shared vec4 tile[QUADS];

#ifdef MATRIX
#include "numerics/williamson.h"

const uint kPaley1 = 1u;
const uint kPaley2 = 2u;
const uint kWilliamson = 3u;
const uint SPAN = LOW << STAGES;  // elements from row to row of the first axis

shared float table[TABLE];

// Quadratic characters, or the circulant rows. Call in uniform control flow.
void makeTable() {
  if (KIND == kWilliamson) {
    const uint masks[4] = uint[4](NIB_WILLIAMSON_MASKS);
    for (uint i = gl_LocalInvocationIndex; i < PRIME; i += WG) {
      uint at = 1u;  // root^i
      for (uint t = 0u; t < i; ++t) at = at * NIB_WILLIAMSON_ROOT % PRIME;
      for (uint block = 0u; block < 4u; ++block) {
        if (i + 1u == PRIME) table[block * PRIME] = 1.0;
        if (i + 1u < PRIME)
          table[block * PRIME + at] = ((masks[block] >> (i % NIB_WILLIAMSON_COSETS)) & 1u) != 0u ? 1.0 : -1.0;
      }
    }
    return;
  }
  for (uint i = gl_LocalInvocationIndex; i < PRIME; i += WG) table[i] = i == 0u ? 1.0 : -1.0;
  barrier();
  // i and PRIME - i have the same square.
  for (uint i = gl_LocalInvocationIndex + 1u; i <= PRIME / 2u; i += WG) table[i * i % PRIME] = 1.0;
}

float circulant(uint a, uint b, uint from) {
  uint difference = a >= b ? a - b : a + PRIME - b;
  return table[from + difference];
}

float entry(uint row, uint col) {
  if (KIND == kPaley1) {
    if (row == 0u) return 1.0;
    return col == 0u ? -1.0 : circulant(row - 1u, col - 1u, 0u);
  }
  if (KIND == kPaley2) {
    uint a = row >> 1;
    uint b = col >> 1;
    if (a == b) return ((row | col) & 1u) == 0u ? 1.0 : -1.0;
    float c = a == 0u || b == 0u ? 1.0 : circulant(a - 1u, b - 1u, 0u);
    return (row & col & 1u) != 0u ? -c : c;
  }
  uint r = row / PRIME;
  uint s = col / PRIME;
  float c = circulant(row - r * PRIME, col - s * PRIME, (r ^ s) * PRIME);
  return ((NIB_WILLIAMSON_SIGNS >> (4u * r + s)) & 1u) != 0u ? -c : c;
}

float productOne(uint element) {
  uint in_block = element % (ORDER * SPAN);
  uint row = in_block / SPAN;
  uint at = element - row * SPAN;
  float sum = 0.0;
  for (uint j = 0u; j < ORDER; ++j) {
    sum += entry(row, j) * tile[at >> 2][at & 3u];
    at += SPAN;
  }
  return sum;
}

vec4 product(uint quad) {
  uint element = quad * 4u;
  if (SPAN < 4u) {
    return vec4(productOne(element), productOne(element + 1u), productOne(element + 2u), productOne(element + 3u));
  }
  uint in_block = element % (ORDER * SPAN);
  uint row = in_block / SPAN;
  uint at = quad - row * (SPAN >> 2);
  vec4 sum = vec4(0.0);
  for (uint j = 0u; j < ORDER; ++j) {
    sum += entry(row, j) * tile[at];
    at += SPAN >> 2;
  }
  return sum;
}
#else
void makeTable() {}
vec4 product(uint quad) { return tile[quad]; }
#endif

// Column of the first element of a quad.
uint columnOf(uint base, uint quad) {
  uint run = quad / (RUN >> 2);
  return base + run * push.step + (quad - run * (RUN >> 2)) * 4u;
}

vec4 loadQuad(uint row_start, uint col) {
  if (col >= push.cols) return vec4(0.0);
  uint delta = push.source_word + push.head.delta1;
  uvec4 bits;
  if (SOURCE_TYPE == NIB_F32) {
    bits = nibLoadQuad32(row_start, col, push.cols, delta);
  } else if (VEC) {
    bits = nibWiden(source2[((row_start + col) >> 2) + (delta >> 1)]);
  } else {
    uvec4 at = row_start + min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
    bits = uvec4(nibLoadOne(at.x, delta), nibLoadOne(at.y, delta), nibLoadOne(at.z, delta), nibLoadOne(at.w, delta));
  }
  if (SIGNS) {
    uvec4 at = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u)) + push.signs_word + push.head.delta0;
    bits ^= uvec4(signs[at.x], signs[at.y], signs[at.z], signs[at.w]) & 0x80000000u;
  }
  return uintBitsToFloat(bits);
}

// The butterflies within a quad.
vec4 firstStages(vec4 x) {
  if (LOW != 1u) return x;
  if (STAGES > 0u) x = vec4(x.x + x.y, x.x - x.y, x.z + x.w, x.z - x.w);
  if (STAGES > 1u) x = vec4(x.xy + x.zw, x.xy - x.zw);
  return x;
}

// Two stages at distances of `gap` and 2 * gap quads; then one, if one is left.
void moreStages() {
  uint gap = max(LOW >> 2, 1u);
  uint left = LOW != 1u ? STAGES : max(STAGES, 2u) - 2u;
  for (; left > 1u; left -= 2u) {
    for (uint i = gl_LocalInvocationIndex; i < QUADS / 4u; i += WG) {
      uint at = i + (i & ~(gap - 1u)) * 3u;
      vec4 a = tile[at];
      vec4 b = tile[at + gap];
      vec4 c = tile[at + gap * 2u];
      vec4 d = tile[at + gap * 3u];
      vec4 ab = a + b;
      vec4 cd = c + d;
      b = a - b;
      d = c - d;
      tile[at] = ab + cd;
      tile[at + gap] = b + d;
      tile[at + gap * 2u] = ab - cd;
      tile[at + gap * 3u] = b - d;
    }
    barrier();
    gap *= 4u;
  }
  if (left == 0u) return;
  for (uint i = gl_LocalInvocationIndex; i < QUADS / 2u; i += WG) {
    uint at = i + (i & ~(gap - 1u));
    vec4 a = tile[at];
    vec4 b = tile[at + gap];
    tile[at] = a + b;
    tile[at + gap] = a - b;
  }
  barrier();
}

void main() {
  uint item = push.head.tile_first + gl_WorkGroupID.x;
  uint row = item / push.tiles;
  if (row >= push.head.rows) return;  // all of the workgroup
  uint index = item - row * push.tiles;
  uint block = index / push.parts;
  uint base = block * push.span + (index - block * push.parts) * RUN;
  makeTable();
  for (uint q = gl_LocalInvocationIndex; q < QUADS; q += WG) {
    tile[q] = firstStages(loadQuad(row * push.source_stride, columnOf(base, q)));
  }
  barrier();
  moreStages();
  for (uint q = gl_LocalInvocationIndex; q < QUADS; q += WG) {
    uint col = columnOf(base, q);
    if (col >= push.cols) continue;
    uvec4 bits = floatBitsToUint(product(q) * push.factor);
#ifdef NIB_FAULT
    if (((row * push.cols + col) >> 2) % 7u == 6u) bits.x ^= 0x80000000u;
#endif
    bits = mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u)));
    nibStoreQuad(row * push.result_stride, col, push.cols, push.result_word + push.head.delta2, bits);
  }
}
