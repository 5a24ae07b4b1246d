#version 450
// Partial statistics of a dense matrix. Rows mode: a workgroup reduces WG * STEPS runs of 16 elements of one row to one
// partial. Columns mode: an invocation takes four neighbouring columns of STEPS rows, one partial per column.
// Reads every element once.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/reduce.h"
REDUCE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ReducePush push; };

#define NIB_RUN 16
const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#include "common/reduce.glsl"
#include "common/extent.glsl"
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

void writePartial(uint index, NibReduced extent) {
  uint at = push.partial_word + 4u * index + push.head.delta3;
  aux[at] = extent.low;
  aux[at + 1u] = extent.high + (index % 5u == 4u ? kFault : 0u);
  aux[at + 2u] = extent.count;
}

void reduceRow(uint tile) {
  uint row = tile / push.chunks;
  uint chunk = tile - row * push.chunks;
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  uint row_start = row * push.stride;
  NibReduced extent = nibEmptyExtent();
  for (uint s = 0u; s < STEPS; ++s) {
    uint col = ((chunk * STEPS + s) * WG + gl_LocalInvocationIndex) * 16u;
    if (col >= cols) break;
    for (uint q = 0u; q < 4u; ++q) {
      uint at = col + 4u * q;
      uvec4 x = nibLoadQuad(row_start, at, cols, push.head.delta1);
      for (uint i = 0u; i < 4u; ++i) {
        if (at + i < cols) nibMeet(extent, x[i]);
        if (STATUS && nibIsNonFinite(x[i])) nibCountNonFinite(1u, row * cols + at + i);
      }
    }
  }
  extent = nibWorkgroupReduce(extent);
  if (gl_LocalInvocationIndex == 0u) writePartial(tile, extent);
}

void reduceColumns(uint tile) {
  uint block = tile / push.chunks;
  uint col = ((tile - block * push.chunks) * WG + gl_LocalInvocationIndex) * 4u;
  if (col >= push.cols) return;
  NibReduced extent[4];
  for (uint i = 0u; i < 4u; ++i) extent[i] = nibEmptyExtent();
  uint row_end = min((block + 1u) * STEPS, push.head.rows);
  for (uint row = block * STEPS; row < row_end; ++row) {
    uvec4 x = nibLoadQuad(row * push.stride, col, push.cols, push.head.delta1);
    for (uint i = 0u; i < 4u; ++i) {
      nibMeet(extent[i], x[i]);
      if (STATUS && nibIsNonFinite(x[i])) nibCountNonFinite(1u, row * push.cols + col + i);
    }
  }
  for (uint i = 0u; i < 4u && col + i < push.cols; ++i) writePartial(block * push.cols + col + i, extent[i]);
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (COLUMNS) {
    reduceColumns(tile);
  } else {
    reduceRow(tile);
  }
}
