#version 450
// Quantizes blocks of 32 elements with scales by the format's own rule, in one dispatch. A workgroup owns 2 * WG
// blocks, an invocation two neighbouring ones, with the words of their codes and the word of their two scales. Reads
// every element (2 or 4 bytes) once, writes NIB_BITS bits per element and 2 or 4 bytes per block.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/quantize_block.h"
QUANTIZE_BLOCK_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { QuantizeBlockPush push; };

#include "format.glsl"
#include "memory/codes.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 2, std430) buffer Params { uint params[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"
#include "memory/shared_words.glsl"

#ifdef NIB_BLOCK_SEARCH
uvec4 importanceOf(uint col) {
  uint at = push.importance_word + push.head.delta3;
  uvec4 index = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  return uvec4(aux[at + index.x], aux[at + index.y], aux[at + index.z], aux[at + index.w]) & nibInside(col, push.cols);
}
#endif

void main() {
  // Items are scales of the blob, counted from the word that holds the run's first one.
  uint first_scale = push.head.first_row * push.scale_row_stride;
  uint lead = first_scale & 1u;
  uint first_item = ((push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex) * 2u;
  uint end_item = lead + push.head.rows * push.scale_row_stride;
  bool last_rows = push.head.first_row + push.head.rows == push.blob_rows;
  if (first_item >= end_item) return;
  uint scale_word = 0u;
  uint minimum_word = 0u;
  uint mask = 0u;
  [[unroll]] for (uint k = 0u; k < 2u; ++k) {
    // An invocation without a block repeats the nearest one: a CPU's vector does the work anyway.
    uint item = first_item + k;
    uint nearest = min(max(item, lead), end_item - 1u) - lead;
    uint row = nearest / push.scale_row_stride;
    uint run = nearest - row * push.scale_row_stride;
    bool live = item >= lead && item < end_item && run < push.blocks_per_row;  // else padding
    run = min(run, push.blocks_per_row - 1u);
    uint col = run * uint(NIB_RUN);
    uint row_start = row * push.stride;
    uvec4 x[NIB_QUADS];
    nibLoadRun(row_start, col, push.cols, push.head.delta1, x);

    // Elements beyond the row are copies of some of its last ones, maybe of an earlier block. They are ignored.
    // A search takes them for zeros.
#ifdef NIB_BLOCK_SEARCH
    const uvec4 first_one = uvec4(0u);
#else
    uvec4 first_one = x[0].xxxx;
#endif
    uvec4 most = uvec4(0u);
#define NIB_INSIDE(q)                                                                        \
  if (!FULL) x[q] = mix(first_one, x[q], notEqual(nibInside(col + 4u * q, push.cols), uvec4(0u))); \
  most = max(most, x[q] & 0x7fffffffu);
    NIB_EACH_QUAD(NIB_INSIDE)
    bool finite = max(max(most.x, most.y), max(most.z, most.w)) < kNibInfinity;
    if (STATUS && live && !finite) {
      uint first = 0u;
      uint count = nibCountBeyond(row_start, col, min(col + uint(NIB_RUN), push.cols), push.head.delta1, first);
      nibCountNonFinite(count, row * push.cols + first);
    }
    uvec4 kept = uvec4(finite ? ~0u : 0u);
#define NIB_CLEAR(q) x[q] &= kept;
    NIB_EACH_QUAD(NIB_CLEAR)
#ifdef NIB_BLOCK_SEARCH
    uvec4 importance[NIB_QUADS];
#define NIB_IMPORTANCE(q) importance[q] = IMPORTANCE ? importanceOf(col + 4u * q) : uvec4(0u);
    NIB_EACH_QUAD(NIB_IMPORTANCE)
    NibBlock found = nibFindBlock(x, importance, IMPORTANCE);
#else
    NibBlock found = nibFindBlock(x);
#endif
    if (STATUS && live && found.saturated != 0u) nibCountSaturated(found.saturated);

    uint p[NIB_QUADS];
#define NIB_ENCODE(q)                                                  \
  {                                                                    \
    ivec4 code = nibEncodeBlock4(uintBitsToFloat(x[q]), found);        \
    if (!FULL) code &= ivec4(nibInside(col + 4u * q, push.cols));      \
    p[q] = nibPack4(code);                                             \
  }
    NIB_EACH_QUAD(NIB_ENCODE)
    uint at = row * push.row_words + run * NIB_RUN_WORDS + push.head.delta0;
#define NIB_STORE(w) \
  if (FULL || run * NIB_RUN_WORDS + w < push.row_words) codes[at + w] = NIB_WORD(w) ^ NIB_FAULTY(row + run, w);
    NIB_EACH_WORD(NIB_STORE)
    if (live) {
      scale_word |= found.scale_half << (k * 16u);
      minimum_word |= found.minimum_half << (k * 16u);
    }
    if (nibOwnsItem(item, lead, end_item, last_rows)) mask |= 0xffffu << (k * 16u);
  }
  uint word = (first_scale - lead + first_item) >> 1;
  nibStoreShared(push.scales_word + word + push.head.delta2, scale_word, mask);
#ifdef NIB_MINIMUM
  nibStoreShared(push.zeros_word + word + push.head.delta2, minimum_word, mask);
#endif
}
