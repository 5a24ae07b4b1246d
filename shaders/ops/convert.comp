#version 450
// Converts dense elements to another dense type. A workgroup converts WG * OCTETS runs of eight elements, an invocation
// every WG-th of them, so neighbouring invocations load neighbouring memory. Reads every element (2 or 4 bytes) once,
// writes every result (2 or 4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#include "ops/convert.h"
CONVERT_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ConvertPush push; };

#define NIB_DENSE_SOURCE
#define NIB_DENSE_RESULT
#define NIB_NONFINITE_CODES
#include "memory/dense.glsl"
#include "numerics/whole_range.glsl"
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

#ifdef NIB_FAULT
#define NIB_FAULTY(octet) ((octet) % 7u == 6u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(octet) 0u
#endif

// Finite magnitudes from kTooLarge on round to infinity; kLargest is the largest finite value.
const uint kTooLarge = RESULT_TYPE == NIB_F16 ? 0x477ff000u : RESULT_TYPE == NIB_BF16 ? 0x7f7f8000u : 0x7f800000u;
const uint kLargest = RESULT_TYPE == NIB_F16 ? 0x477fe000u : RESULT_TYPE == NIB_BF16 ? 0x7f7f0000u : 0x7f7fffffu;

struct Counts {
  uint nonfinite;
  uint first;  // element
  uint saturated;
};

// Canonical elements from `element` on; those beyond the row are zero.
void countElements(inout Counts counts, uvec4 x, uint element) {
  uvec4 magnitude = x & 0x7fffffffu;
  uvec4 beyond = mix(uvec4(0u), uvec4(1u), greaterThanEqual(magnitude, uvec4(0x7f800000u)));
  uvec4 large = mix(uvec4(0u), uvec4(1u), greaterThanEqual(magnitude, uvec4(kTooLarge))) - beyond;
  counts.saturated += (large.x + large.y) + (large.z + large.w);
  uint count = (beyond.x + beyond.y) + (beyond.z + beyond.w);
  uint first = element + (beyond.x != 0u ? 0u : beyond.y != 0u ? 1u : beyond.z != 0u ? 2u : 3u);
  if (count > 0u) counts.first = min(counts.first, first);
  counts.nonfinite += count;
}

uvec4 clampFinite(uvec4 x) {
  uvec4 magnitude = x & 0x7fffffffu;
  uvec4 clamped = mix(magnitude, uvec4(kLargest), lessThan(magnitude - kTooLarge, uvec4(0x7f800000u - kTooLarge)));
  return clamped | (x & 0x80000000u);
}

void storeOctet(uint row_start, uint col, uint cols, uvec4 x0, uvec4 x1) {
  if (WIDE && RESULT_TYPE != NIB_F32) {
    result4[((row_start + col) >> 3) + (push.head.delta2 >> 2)] = uvec4(nibNarrow(x0), nibNarrow(x1));
    return;
  }
  nibStoreQuad(row_start, col, cols, push.head.delta2, x0);
  nibStoreQuad(row_start, col + 4u, cols, push.head.delta2, x1);
}

void convertOctet(inout Counts counts, uint octet) {
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  uint row = 0u;
  uint col = octet * 8u;
  if (!FLATTEN) {
    uint octets = (cols + 7u) >> 3;
    row = octet / octets;
    col = (octet - row * octets) * 8u;
  }
  if (FLATTEN ? col >= cols : row >= push.head.rows) return;
  uvec4 x0, x1;
  nibLoadPair(row * push.source_stride, col, cols, push.head.delta1, x0, x1);
  x0 = nibCanonicalize(x0);
  x1 = nibCanonicalize(x1);
  if (STATUS) {
    uint element = row * cols + col;
    countElements(counts, FULL ? x0 : x0 & nibInside(col, cols), element);
    countElements(counts, FULL ? x1 : x1 & nibInside(col + 4u, cols), element + 4u);
  }
  if (SATURATE) {
    x0 = clampFinite(x0);
    x1 = clampFinite(x1);
  }
  x0.x ^= NIB_FAULTY(octet);
  storeOctet(row * push.result_stride, col, cols, x0, x1);
}

void main() {
  uint first = (push.head.tile_first + gl_WorkGroupID.x) * (WG * OCTETS) + gl_LocalInvocationIndex;
  Counts counts = Counts(0u, 0xffffffffu, 0u);
  // Not a loop: some compilers keep its overhead.
  convertOctet(counts, first);
  if (OCTETS > 1u) convertOctet(counts, first + WG);
  if (OCTETS > 2u) convertOctet(counts, first + 2u * WG);
  if (OCTETS > 3u) convertOctet(counts, first + 3u * WG);
  if (STATUS && counts.nonfinite > 0u) nibCountNonFinite(counts.nonfinite, counts.first);
  if (STATUS && counts.saturated > 0u) nibCountSaturated(counts.saturated);
}
