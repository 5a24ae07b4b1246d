#version 450
// The mean of a matrix's diagonal, and from it the unit by which the matrix is divided and the damping. One workgroup;
// an invocation adds every WG-th entry. Reads the diagonal (4 bytes an entry) once.
#extension GL_GOOGLE_include_directive : require
#include "ops/factor_mean.h"
FACTOR_MEAN_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { FactorMeanPush push; };

#include "common/fault.glsl"
layout(set = 0, binding = 1, std430) readonly buffer Diagonal { uint diagonal[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Info { uint info[]; };

shared float sums[WG];
shared uint lives[WG];

bool isPositive(uint bits) { return bits - 0x00800000u < 0x7f000000u; }  // a positive normal number

void main() {
  uint lane = gl_LocalInvocationIndex;
  float sum = 0.0;
  uint live = 0u;
  for (uint i = lane; i < push.cols; i += WG) {
    uint bits = diagonal[push.diagonal_word + i + push.head.delta1];
    if ((bits & 0x7fffffffu) < 0x00800000u) continue;  // dead
    sum += uintBitsToFloat(bits);
    ++live;
  }
  sums[lane] = sum;
  lives[lane] = live;
  for (uint width = WG / 2u; width > 0u; width /= 2u) {
    barrier();
    if (lane < width) {
      sums[lane] += sums[lane + width];
      lives[lane] += lives[lane + width];
    }
  }
  if (lane != 0u) return;
  live = lives[0];
  uint mean = floatBitsToUint(sums[0] / float(max(live, 1u)));
  if (!isPositive(mean)) mean = 0x3f800000u;
  uint unit = min(mean & 0x7f800000u, 253u << 23);
  float scaled = uintBitsToFloat(mean) * uintBitsToFloat((254u << 23) - unit);
  if (kFault != 0u) scaled = scaled + 1.0;
  uint at = push.info_word + push.head.delta2;
  info[at + NIB_INFO_FAILED] = 0u;
  info[at + NIB_INFO_DEAD] = push.cols - live;
  info[at + NIB_INFO_DAMP] = floatBitsToUint(uintBitsToFloat(push.damp_bits) * scaled);
  info[at + NIB_INFO_UNIT] = unit;
  info[at + NIB_INFO_MEAN] = mean;
  for (uint i = NIB_INFO_MEAN + 1u; i < NIB_INFO_WORDS; ++i) info[at + i] = 0u;
}
