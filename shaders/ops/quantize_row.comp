#version 450
// Quantizes whole rows with found scales: a workgroup passes twice over each of its ROWS rows, for the extent and for
// the codes; the second pass finds the row in the cache. An invocation owns every WG-th run of NIB_RUN elements and the
// words of their codes. Reads the source once from memory; writes codes, and per row a scale and a zero point.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/quantize_row.h"
QUANTIZE_ROW_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { QuantizeRowPush push; };

#include "format.glsl"
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#include "common/codes.glsl"
#include "common/reduce.glsl"
#include "common/extent.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS writeonly
#define NIB_PARAMS_WRITE_ONLY
#include "common/params.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint first_row = (push.head.tile_first + gl_WorkGroupID.x) * ROWS;
  uint scale_word = 0u;
  uint zero_word = 0u;

  for (uint r = 0u; r < ROWS; ++r) {
    uint row = first_row + r;
    if (row >= push.head.rows) break;
    uint row_start = row * push.stride;

    NibReduced extent = nibEmptyExtent();
    for (uint run = lane; run < runs; run += WG) {
      uint col = run * uint(NIB_RUN);
      for (uint q = 0u; q < NIB_QUADS; ++q) {
        uvec4 x = nibLoadQuad(row_start, col + 4u * q, push.cols, push.head.delta1);
        for (uint i = 0u; i < 4u; ++i) {
          // Beyond the row's end nibLoadQuad gives 0, which no scale depends on.
          nibMeet(extent, x[i]);
          if (STATUS && nibIsNonFinite(x[i])) nibCountNonFinite(1u, row * push.cols + col + 4u * q + i);
        }
      }
    }
    extent = nibWorkgroupReduce(extent);
    bool finite = extent.count == 0u;
    uvec3 bits = finite ? nibExtentBits(extent) : uvec3(0u);
    NibFound found = nibFindScale(bits.x, bits.y, bits.z, FLAGS, SCALE_TYPE);
    NibEncoder encoder = nibMakeEncoderFromReciprocal(nibReciprocal(found.bits), found.zero, FLAGS);

    for (uint run = lane; run < runs; run += WG) {
      uint col = run * uint(NIB_RUN);
      uint words[NIB_RUN_WORDS];
      for (uint w = 0u; w < NIB_RUN_WORDS; ++w) words[w] = 0u;
      for (uint q = 0u; q < NIB_QUADS; ++q) {
        uvec4 x = nibLoadQuad(row_start, col + 4u * q, push.cols, push.head.delta1);
        for (uint i = 0u; i < 4u; ++i) {
          uint element = 4u * q + i;
          uint code = nibEncode(uintBitsToFloat(finite ? x[i] : 0u), encoder, false);
          nibPutCode(words, element, FULL || col + element < push.cols ? code : 0u);
        }
      }
      uint at = row * push.row_words + run * NIB_RUN_WORDS + push.head.delta0;
      for (uint w = 0u; w < NIB_RUN_WORDS; ++w) {
        if (FULL || run * NIB_RUN_WORDS + w < push.row_words) codes[at + w] = words[w] ^ NIB_FAULTY(run, w);
      }
    }

    if (lane == 0u) {
      if (STATUS && found.saturated) nibCountSaturated();
      if (SCALE_TYPE == NIB_F32) {
        params[push.scales_word + row + push.head.delta2] = found.stored;
      } else {
        scale_word |= found.stored << ((r & 1u) * 16u);
        if ((r & 1u) == 1u || row + 1u == push.head.rows || r + 1u == ROWS) {
          params[push.scales_word + (row >> 1) + push.head.delta2] = scale_word;
          scale_word = 0u;
        }
      }
      zero_word |= nibZeroToByte(found.zero) << ((r & 3u) * 8u);
    }
  }
  if ((FLAGS & NIB_ASYMMETRIC) != 0u && lane == 0u) {
    params[push.zeros_word + (first_row >> 2) + push.head.delta2] = zero_word;
  }
}
