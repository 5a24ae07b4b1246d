// results[i] = f(a[i], b[i]) with f = row OP of exact_probe.h. One invocation per pair: 8 bytes read, 4 written. The
// grid may be two-dimensional, so that more than 65535 workgroups of pairs fit into one dispatch.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "exact_probe.h"
#include "numerics/exact.glsl"
#include "numerics/float_bits.glsl"
#include "numerics/halves.glsl"

EXACT_PROBE_SPEC(NIB_SPEC_CONSTANT)

layout(std430, set = 0, binding = EXACT_PROBE_BIND_PAIRS) readonly buffer Pairs { uint pairs[]; };
layout(std430, set = 0, binding = EXACT_PROBE_BIND_RESULTS) writeonly buffer Results { uint results[]; };
layout(push_constant) uniform Push { ExactProbePush push; };

// The value is in the last of four lanes; the others hold different values.
uint nibProbeWiden(uint h) { return nibWidenHalves(uvec4(h, ~h, 0u, h << 16)).w; }

uint nibProbeNarrow(uint bits) { return nibNarrowHalves(uvec4(0u, 0x3f800000u, 0x7f7fffffu, bits)).w; }

// As the loads of fp32 rows, whose infinities are fp32's own.
const uint kNibInfinity = 0x7f800000u;
#include "numerics/whole_range.glsl"

uint nibProbeSum(uint a, uint b) {
  return nibSumBits4(uvec4(0u, 0x3f800000u, b, nibCanonicalize(uvec4(a)).x),
                     uvec4(0x7f7fffffu, a, 0u, nibCanonicalize(uvec4(b)).x)).w;
}

uint nibProbeProduct(uint a, uint b) {
  return nibProductBits4(uvec4(0u, 0x3f800000u, b, nibCanonicalize(uvec4(a)).x),
                         uvec4(0x7f7fffffu, a, 0u, nibCanonicalize(uvec4(b)).x)).w;
}

void main() {
  uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * WG + gl_LocalInvocationID.x;
  if (i >= push.count) {
    return;
  }
  uint a = pairs[2u * i];
  uint b = pairs[2u * i + 1u];
  uint result = 0u;
#define EXACT_PROBE_APPLY(row, name, inputs, expression) \
  if (OP == row) {                                       \
    result = expression;                                 \
  }
  EXACT_PROBE_OPS(EXACT_PROBE_APPLY)
  results[i] = result;
}
