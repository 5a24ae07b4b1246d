#version 450
// Decodes codes to dense elements, of every row or of the rows that a list names (GATHER). A workgroup owns WG runs of
// NIB_RUN columns in ROW_BLOCK rows, an invocation one run of columns. Reads every code (NIB_BITS bits) once and one
// scale per run, or with COLUMN one scale per column and row block, writes every result (2 or 4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#include "ops/dequantize.h"
DEQUANTIZE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { DequantizePush push; };

#include "format.glsl"
#include "memory/codes.glsl"
#define NIB_DENSE_RESULT
#include "memory/dense.glsl"
#define NIB_PARAMS_BINDING 1
#define NIB_PARAMS_ACCESS readonly
#define NIB_PARAMS_NESTED
#include "memory/params.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) readonly buffer Numbers { uint numbers[]; };

NibDecoder decoderOf(uint index) {
  return nibMakeDecoder(uvec4(nibLoadScale(push.scales_word + push.head.delta1, index)),
                        ivec4(nibLoadZero(push.zeros_word + push.head.delta1, index)));
}

// The decoder of four neighbouring columns.
NibDecoder columnDecoder(uint col) {
  uvec4 index = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  uint base = push.scales_word + push.head.delta1;
  uvec4 scale = uvec4(nibLoadScale(base, index.x), nibLoadScale(base, index.y), nibLoadScale(base, index.z),
                      nibLoadScale(base, index.w));
  base = push.zeros_word + push.head.delta1;
  ivec4 zero = ivec4(nibLoadZero(base, index.x), nibLoadZero(base, index.y), nibLoadZero(base, index.z),
                     nibLoadZero(base, index.w));
  return nibMakeDecoder(scale, zero);
}

NibDecoder decoder[COLUMN ? NIB_QUADS : NIB_RUN_PARTS];

void decodeRun(uint row, uint run) {
  uint col = run * uint(NIB_RUN);
  uint source = GATHER ? numbers[row + push.head.delta3] : row;
  bool there = !GATHER || source < push.source_rows;
  if (!there) source = 0u;
  // The dispatch of another window decodes the row. The first window's dispatch also writes the rows that the matrix
  // lacks.
  if (GATHER && (source < push.window_row || source - push.window_row >= push.window_rows)) return;
  // Windows bring the run's first row of codes to 0, of scales they do not.
  uint scale_row = GATHER ? source : source + push.head.first_row;
  if (!COLUMN) {
    uint index = scale_row * push.scale_row_stride + col / push.group;
    decoder[0] = decoderOf(index);
#if NIB_RUN_PARTS == 2
    decoder[1] = decoderOf(index + 1u);
#endif
  }
  uint word[NIB_RUN_WORDS];
  uint first_word = run * NIB_RUN_WORDS;
  uint at = source * push.row_words + push.head.delta0;
#define NIB_LOAD(w) \
  word[w] = codes[at + (FULL ? first_word + w : min(first_word + w, push.row_words - 1u))] ^ NIB_FAULTY(row + run, w);
  NIB_EACH_WORD(NIB_LOAD)
  uint row_start = row * push.stride;
#define NIB_DECODER_OF(q) decoder[COLUMN ? q : q / uint(NIB_QUADS / NIB_RUN_PARTS)]
#define NIB_DECODE(q)                                                \
  nibStoreQuad(row_start, col + 4u * q, push.cols, push.head.delta2, \
               there ? nibDecode4(nibUnpack4(NIB_QUAD(q)), NIB_DECODER_OF(q)) : uvec4(0u));
  NIB_EACH_QUAD(NIB_DECODE)
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint block = item / runs;
  uint run = item - block * runs;
  if (!COLUMN) {
    // Not a loop with one iteration: some compilers keep its overhead.
    if (block < push.head.rows) decodeRun(block, run);
    return;
  }
  uint col = run * uint(NIB_RUN);
#define NIB_PREPARE(q) decoder[COLUMN ? q : 0u] = columnDecoder(col + 4u * q);
  NIB_EACH_QUAD(NIB_PREPARE)
  uint row_end = min((block + 1u) * ROW_BLOCK, push.head.rows);
  for (uint row = block * ROW_BLOCK; row < row_end; ++row) decodeRun(row, run);
}
