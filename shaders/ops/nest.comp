#version 450
// Double quantization of fp32 scales: 8-bit codes of the dynamic map in blocks of 256, after subtracting the mean.
// Phase 0 clears the sums. Phases 1 and 2: a workgroup takes 64 * WG scales, an invocation every WG-th of them, for the
// largest scale and for the sum; both are integers, so the order does not matter. Phase 3: an invocation owns a block
// of 256. Reads 4 bytes per scale in phases 1 and 2 and 8 in phase 3, writes 1 byte per scale and 4 bytes per block.
// src/formats/nested.cpp is the C++ counterpart.
#extension GL_GOOGLE_include_directive : require
#include "ops/nest.h"
NEST_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NestPush push; };

#include "common/fault.glsl"
#include "numerics/dynamic_map.h"
#include "numerics/exact.glsl"
#include "numerics/mean.glsl"
layout(set = 0, binding = 2, std430) writeonly buffer Params { uint params[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };

const uint kEach = 64u;  // scales of an invocation in phases 1 and 2: their sum fits a word
const uint kMidpoints[255] = uint[255](NIB_DYNAMIC_MIDPOINTS);

uint scaleBits(uint index) {
  return aux[push.scale_word + index + push.head.delta3];
}

uint meanBits() {
  uint at = push.sum_word + push.head.delta3;
  uvec2 sum = nibWideAdd(nibWideAdd(uvec2(aux[at + 1u], 0u), aux[at + 2u], 10u), aux[at + 3u], 20u);
  return nibMeanBits(sum, push.count, aux[at] >> 23);
}

uint differenceBits(uint scale, uint offset) {
  precise float difference = uintBitsToFloat(scale) - uintBitsToFloat(offset);
  return nibFlushBits(floatBitsToUint(difference));
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint sums = push.sum_word + push.head.delta3;
  if (PHASE == 0u) {
    if (tile == 0u && lane < 4u) aux[sums + lane] = 0u;
    return;
  }
  if (PHASE == 1u || PHASE == 2u) {
    uint first = tile * WG * kEach + lane;
    uint largest = PHASE == 2u ? aux[sums] >> 23 : 0u;
    uint result = 0u;
    for (uint i = 0u; i < kEach; ++i) {
      uint index = first + i * WG;
      if (index >= push.count) break;
      uint bits = scaleBits(index);
      result = PHASE == 1u ? max(result, bits) : result + nibMeanPart(bits, largest);
    }
    if (PHASE == 1u) {
      atomicMax(aux[sums], result);
    } else {
      atomicAdd(aux[sums + 1u], result & 0x3ffu);
      atomicAdd(aux[sums + 2u], (result >> 10) & 0x3ffu);
      atomicAdd(aux[sums + 3u], result >> 20);
    }
    return;
  }
  uint block = tile * WG + lane;
  uint first = block * 256u;
  if (first >= push.count) return;
  uint end = min(first + 256u, push.count);
  uint offset = meanBits();
  uint largest = 0u;
  for (uint i = first; i < end; ++i) largest = max(largest, differenceBits(scaleBits(i), offset) & 0x7fffffffu);
  if (largest < 0x03800000u) largest = 0u;
  float reciprocal = uintBitsToFloat(largest == 0u ? 0u : nibDivBits(0x3f800000u, largest));
  for (uint i = first; i < end; i += 4u) {
    uint word = 0u;
    for (uint j = 0u; j < 4u && i + j < end; ++j) {
      precise float y = uintBitsToFloat(differenceBits(scaleBits(i + j), offset)) * reciprocal;
      // The code is the number of midpoints below y, found by binary search.
      uint code = 0u;
      for (uint step = 128u; step > 0u; step >>= 1) {
        if (y > uintBitsToFloat(kMidpoints[code + step - 1u])) code += step;
      }
      if (largest == 0u) code = NIB_DYNAMIC_ZERO;
      word |= code << (j * 8u);
    }
    params[push.code_word + (i >> 2) + push.head.delta2] = word ^ kFault;
  }
  params[push.nested_word + 1u + block + push.head.delta2] = largest;
  if (block == 0u) params[push.nested_word + push.head.delta2] = offset;
}
