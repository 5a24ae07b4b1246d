#version 450
// Encodes dense elements with scales that exist already. A workgroup owns WG runs of NIB_RUN columns in ROW_BLOCK rows,
// an invocation one run of columns and the words of its codes. The reciprocal of a scale is computed once per run, per
// block or, if there is only one scale, per invocation, never per element. Reads every element (2 or 4 bytes) once and
// one scale per run, writes NIB_BITS bits per element.
#extension GL_GOOGLE_include_directive : require
#include "ops/encode.h"
ENCODE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { EncodePush push; };

#include "format.glsl"
#include "memory/codes.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS readonly
#include "memory/params.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

// With given scales a non-finite element has the code of 0.
uvec4 sanitize(uvec4 x, uint element) {
  bvec4 bad = greaterThanEqual(x & 0x7fffffffu, uvec4(kNibInfinity));
  if (STATUS && any(bad)) {
    uint count = 0u;
    uint first = 0u;
    for (uint i = 4u; i > 0u; --i) {
      if (nibIsBeyond(x[i - 1u])) {
        ++count;
        first = i - 1u;
      }
    }
    nibCountNonFinite(count, element + first);
  }
  return mix(x, uvec4(0u), bad);
}

// Given scales may be far too small for their elements, and so may found ones that stop where half does.
const bool kBounded = GIVEN || SCALE_TYPE == NIB_F16;

// The encoder of four neighbouring columns.
struct Encoder {
  NibEncoder codes;
  uvec4 guard;  // kBounded: nibEncoderBound; else ones, or 0 for the zero group
};

Encoder makeEncoder(uvec4 rcp_bits, ivec4 zero) {
  Encoder e;
  e.codes = nibMakeEncoder(rcp_bits, zero, FLAGS);
  e.guard = kBounded ? nibEncoderBound(rcp_bits) : mix(uvec4(~0u), uvec4(0u), equal(rcp_bits, uvec4(0u)));
  return e;
}

Encoder encoderOf(uint index) {
  if (TABLE) {
    uint entry = push.table_word + 2u * index + push.head.delta3;
    ivec4 zero = ivec4((FLAGS & NIB_ASYMMETRIC) != 0u ? int(aux[entry + 1u]) : nibZeroFromStored(0u, FLAGS));
    return makeEncoder(uvec4(aux[entry]), zero);
  }
  uint scale = nibLoadScale(push.scales_word + push.head.delta2, index);
  return makeEncoder(uvec4(nibReciprocal(scale)), ivec4(nibLoadZero(push.zeros_word + push.head.delta2, index)));
}

// The encoder of four neighbouring columns, from the table; a symmetric zero point is a constant.
Encoder columnEncoder(uint col) {
  uvec4 at = push.table_word + 2u * min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u)) + push.head.delta3;
  uvec4 rcp = uvec4(aux[at.x], aux[at.y], aux[at.z], aux[at.w]);
  ivec4 zero = ivec4(nibZeroFromStored(0u, FLAGS));
  if ((FLAGS & NIB_ASYMMETRIC) != 0u) zero = ivec4(aux[at.x + 1u], aux[at.y + 1u], aux[at.z + 1u], aux[at.w + 1u]);
  return makeEncoder(rcp, zero);
}

Encoder encoder[COLUMN ? NIB_QUADS : 1];

// The packed codes of four columns from `col` on.
uint encodeQuad(uvec4 bits, Encoder e, uint row, uint col) {
  if (GIVEN && STATUS && !FULL) bits &= nibInside(col, push.cols);
  if (GIVEN) bits = sanitize(bits, row * push.cols + col);
  // Found scales: non-finite elements lie in zero groups, and were counted when their scale was found. Either guard
  // makes them finite, and 1/scale is 0 there.
  if (!kBounded) bits &= e.guard;
  vec4 v = uintBitsToFloat(bits);
  if (kBounded) v = nibBounded(v, e.guard);
  ivec4 code = nibEncode4(v, e.codes);
  if (!FULL) code &= ivec4(nibInside(col, push.cols));
  return nibPack4(code);
}

void encodeRun(uint row, uint run) {
  uint col = run * uint(NIB_RUN);
  if (!COLUMN && !ONE) {
    const uint scale_row = TABLE ? row : row + push.head.first_row;
    encoder[0] = encoderOf(scale_row * push.scale_row_stride + col / push.group);
  }
  uint row_start = row * push.stride;
  uvec4 x[NIB_QUADS];
  uint p[NIB_QUADS];
  nibLoadRun(row_start, col, push.cols, push.head.delta1, x);
#define NIB_ENCODE(q) p[q] = encodeQuad(x[q], encoder[COLUMN ? q : 0u], row, col + 4u * q);
  NIB_EACH_QUAD(NIB_ENCODE)
  uint at = row * push.row_words + run * NIB_RUN_WORDS + push.head.delta0;
#define NIB_STORE(w) \
  if (FULL || run * NIB_RUN_WORDS + w < push.row_words) codes[at + w] = NIB_WORD(w) ^ NIB_FAULTY(row + run, w);
  NIB_EACH_WORD(NIB_STORE)
}

void main() {
  if (ONE) encoder[0] = encoderOf(0u);  // outside of all conditions, where it can be a uniform load
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint block = item / runs;
  uint run = item - block * runs;
  if (!COLUMN) {
    // Not a loop with one iteration: some compilers keep its overhead.
    if (block < push.head.rows) encodeRun(block, run);
    return;
  }
  uint col = run * uint(NIB_RUN);
#define NIB_PREPARE(q) encoder[COLUMN ? q : 0u] = columnEncoder(col + 4u * q);
  NIB_EACH_QUAD(NIB_PREPARE)
  uint row_end = min((block + 1u) * ROW_BLOCK, push.head.rows);
  for (uint row = block * ROW_BLOCK; row < row_end; ++row) encodeRun(row, run);
}
