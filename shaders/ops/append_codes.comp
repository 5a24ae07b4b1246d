#version 450
// Writes rows of codes into a cache. An invocation has a group of a token: it finds the scale and makes the codes. Four
// neighbours exchange their scales and zero points through shared memory, so that every word has one writer. Reads
// every element (2 or 4 bytes) twice, once from memory, and writes NIB_BITS bits per element and 2 or 3 bytes per
// group. The dispatch of another window writes tokens whose row lies there; tokens whose row the cache lacks are not
// written.
#extension GL_GOOGLE_include_directive : require
#include "ops/append_codes.h"
APPEND_CODES_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { AppendCodesPush push; };

const bool FULL = true;
#include "format.glsl"
#include "memory/codes.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
layout(set = 0, binding = 2, std430) writeonly buffer Cache { uint cache[]; };
layout(set = 0, binding = 3, std430) readonly buffer Indices { uint indices[]; };

const bool kAsymmetric = (FLAGS & NIB_ASYMMETRIC) != 0u;

struct Stored {
  uint scale, zero;
};

// Packs a run's codes with MACRO(q), which gives quad q's, and writes them.
#define NIB_PACK_RUN(MACRO)         \
  uint p[NIB_QUADS];                \
  NIB_EACH_QUAD(MACRO)              \
  uint at = row_start + run * NIB_RUN_WORDS;
#define NIB_STORE_WORD(w) cache[at + w] = NIB_WORD(w) ^ NIB_FAULTY(token + run, w);

#ifdef NIB_BLOCK_COLS
// Makes the codes of a group, which is a run, and returns its scale.
Stored writeGroup(uint token, uint group, uint row_start) {
  uint run = group;
  uvec4 x[NIB_QUADS];
  nibLoadRun(token * push.source_stride, run * uint(NIB_RUN), push.cols, push.source_word + push.head.delta1, x);
  uvec4 most = uvec4(0u);
#define NIB_MOST(q) most = max(most, x[q] & 0x7fffffffu);
  NIB_EACH_QUAD(NIB_MOST)
  uvec4 kept = uvec4(max(max(most.x, most.y), max(most.z, most.w)) < kNibInfinity ? ~0u : 0u);
#define NIB_CLEAR(q) x[q] &= kept;
  NIB_EACH_QUAD(NIB_CLEAR)
  NibBlock found = nibFindBlock(x);
#define NIB_ENCODE(q) p[q] = nibPack4(nibEncodeBlock4(uintBitsToFloat(x[q]), found));
  NIB_PACK_RUN(NIB_ENCODE)
  NIB_EACH_WORD(NIB_STORE_WORD)
  return Stored(found.scale_half, 0u);
}
#else
#include "workgroup/reduce.glsl"
#include "workgroup/run_extent.glsl"

// Makes the codes of a group and returns its scale and zero point.
Stored writeGroup(uint token, uint group, uint row_start) {
  uint source_row = token * push.source_stride;
  uint delta = push.source_word + push.head.delta1;
  uint first_run = group * (GROUP / uint(NIB_RUN));
  uint end_run = first_run + GROUP / uint(NIB_RUN);
  uvec4 x[NIB_QUADS];
  uvec4 low = uvec4(0xffffffffu);
  uvec4 high = uvec4(0u);
  for (uint run = first_run; run < end_run; ++run) {
    nibLoadRun(source_row, run * uint(NIB_RUN), push.cols, delta, x);
    nibAccumulateRun(x, kAsymmetric, low, high);
  }
  NibRunExtent extent = nibRunExtent(nibExtentOf(low, high), kAsymmetric);
  NibFound found = nibFindScale(extent.min_bits, extent.max_bits, extent.absmax_bits, FLAGS, NIB_F16);
  uvec4 rcp_bits = uvec4(nibReciprocal(found.bits));
  NibEncoder encoder = nibMakeEncoder(rcp_bits, ivec4(found.zero), FLAGS);
  uvec4 bound = nibEncoderBound(rcp_bits);
  uvec4 kept = uvec4(extent.finite ? ~0u : 0u);
  for (uint run = first_run; run < end_run; ++run) {
    nibLoadRun(source_row, run * uint(NIB_RUN), push.cols, delta, x);
#define NIB_ENCODE(q) p[q] = nibPack4(nibEncode4(nibBounded(uintBitsToFloat(x[q] & kept), bound), encoder));
    NIB_PACK_RUN(NIB_ENCODE)
    NIB_EACH_WORD(NIB_STORE_WORD)
  }
  return Stored(found.stored, nibZeroToStored(found.zero));
}
#endif

shared uint scales[WG];
shared uint zeros[WG];

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + lane;
  uint token = item / push.token_items;
  uint group = item - token * push.token_items;
  uint row = token < push.head.rows ? indices[push.indices_word + token + push.head.delta3] : ~0u;
  bool live = row < push.cache_rows && row - push.window_row < push.window_rows && group < push.groups;
  uint row_start = row * push.row_words + push.result_word + push.head.delta2;
  Stored mine = Stored(0u, 0u);
  if (live) mine = writeGroup(token, group, row_start);
  scales[lane] = mine.scale;
  zeros[lane] = mine.zero;
  barrier();
  if (!live) return;
  if ((lane & 1u) == 0u) {
    cache[row_start + push.scales_word + (group >> 1)] = scales[lane] | (scales[lane + 1u] << 16);
  }
  if (kAsymmetric && (lane & 3u) == 0u) {
    cache[row_start + push.zeros_word + (group >> 2)] =
        (zeros[lane] | (zeros[lane + 1u] << 8)) | ((zeros[lane + 2u] << 16) | (zeros[lane + 3u] << 24));
  }
}
