#version 450
// Losses of rows of logits. A workgroup has a row, an invocation every WG-th run of its eight neighbouring elements.
// Reads every element (2 or 4 bytes) of candidate and reference twice: for the largest, then for the sums of
// exponentials. Sums are pairs of fp32, so that only the terms round. Writes 16 bytes per row.
//
// The divergence is E[d] + log(1 + E[e^-d - 1]), where d is the distance of the reference's logit from its largest less
// that of the candidate's, and E the mean by the reference's probabilities: of similar rows both terms are small, and
// so are their errors.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/loss.h"
LOSS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { LossPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "common/fault.glsl"
#include "numerics/expm1_log1p.glsl"
#include "workgroup/reduce.glsl"
#include "workgroup/extent.glsl"
#include "workgroup/pair_sum.glsl"
#include "numerics/logits.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Reference1 { uint reference1[]; };
layout(set = 0, binding = 0, std430) readonly buffer Reference2 { uvec2 reference2[]; };
layout(set = 0, binding = 0, std430) readonly buffer Reference4 { uvec4 reference4[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Results { uint results[]; };
layout(set = 0, binding = 3, std430) readonly buffer Targets { uint targets[]; };

const uint kNan = 0x7fc00000u;
const uint kNoTarget = 0xffffffffu;

// Bits of eight logits.
struct Octet {
  uvec4 a, b;
};

Octet candidateOctet(uint row, uint col) {
  uvec4 a, b;
  nibLoadPair(row * push.candidate_stride, col, push.cols, push.candidate_word + push.head.delta1, a, b);
  return Octet(nibLogitBits(SOURCE_TYPE, a), nibLogitBits(SOURCE_TYPE, b));
}

uint referenceOne(uint element, uint delta) {
  if (REFERENCE_TYPE == NIB_F32) return reference1[element + delta];
  uint half_word = (reference1[(element >> 1) + delta] >> ((element & 1u) * 16u)) & 0xffffu;
  return REFERENCE_TYPE == NIB_BF16 ? half_word << 16 : nibHalfToF32Bits(half_word);
}

// Columns beyond the row repeat some of its last ones.
uvec4 referenceQuad(uint row, uint col) {
  uint row_start = row * push.reference_stride;
  uint delta = push.reference_word + push.head.delta0;
  if (VEC) {
    uint quad = (row_start + min(col, push.cols - 4u)) >> 2;
    if (REFERENCE_TYPE == NIB_F32) return reference4[quad + (delta >> 2)];
    return nibLogitBits(REFERENCE_TYPE, nibWidenWords(reference2[quad + (delta >> 1)], REFERENCE_TYPE == NIB_BF16));
  }
  uvec4 at = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u)) + row_start;
  return uvec4(referenceOne(at.x, delta), referenceOne(at.y, delta), referenceOne(at.z, delta),
               referenceOne(at.w, delta));
}

float capped(float x) {
  if (!CAP) return x;
  float cap = uintBitsToFloat(push.cap_bits);
  // tanh(u) = e / (e + 2), where e = e^2u - 1.
  float e = nibExpm1(min(2.0 * abs(x / cap), 40.0));
  float y = cap * (e / (e + 2.0));
  return x < 0.0 ? -y : y;
}

vec4 valuesOf(uvec4 bits) {
  vec4 x = nibLogits(bits);
  return vec4(capped(x.x), capped(x.y), capped(x.z), capped(x.w));
}

// The largest logits of an invocation's columns, four at a time, with their columns.
struct Kept {
  uvec4 key, col;
  uint nan;
};

Kept nothing() {
  return Kept(uvec4(0u), uvec4(0xffffffffu), 0u);
}

void keep(inout Kept kept, uvec4 bits, uint col) {
  bits &= nibInside(col, push.cols);
  uvec4 key = nibLogitKeys(bits) & nibInside(col, push.cols);
  bvec4 more = greaterThan(key, kept.key);
  kept.key = mix(kept.key, key, more);
  kept.col = mix(kept.col, col + uvec4(0u, 1u, 2u, 3u), more);
  kept.nan |= any(nibIsNan(bits)) ? 1u : 0u;
}

struct Largest {
  uint key, col;
  bool nan;
};

// The largest logits of the row, with their columns. The first of equal ones.
Largest largestOf(Kept kept) {
  uint key = max(max(kept.key.x, kept.key.y), max(kept.key.z, kept.key.w));
  NibReduced all = nibWorkgroupReduce(NibReduced(0u, key, kept.nan));
  uvec4 first = mix(uvec4(0xffffffffu), kept.col, equal(kept.key, uvec4(all.high)));
  uint col = min(min(first.x, first.y), min(first.z, first.w));
  col = nibWorkgroupReduce(NibReduced(col, 0u, 0u)).low;
  return Largest(all.high, col, all.count != 0u);
}

float valueOf(Largest largest) {
  return valuesOf(uvec4(nibUnkey(largest.key))).x;
}

struct Sums {
  NibPair4 candidate;   // e^c
  NibPair4 reference;   // e^r
  NibPair4 difference;  // e^r * d
  NibPair4 ratio;       // e^c - e^r
};

vec4 inside4(vec4 x, uint col) {
  return uintBitsToFloat(floatBitsToUint(x) & nibInside(col, push.cols));
}

// candidate, reference: distances from the largest.
void addQuad(inout Sums sums, vec4 candidate, vec4 reference, uint col) {
  vec4 e_candidate = inside4(nibExp4(candidate), col);
  sums.candidate = nibPairAdd(sums.candidate, e_candidate);
  if (!REFERENCE) return;
  vec4 e_reference = inside4(nibExp4(reference), col);
  precise vec4 d = reference - candidate;
  precise vec4 weighted = e_reference * d;
  vec4 expm1 = vec4(nibExpm1Near(-d.x), nibExpm1Near(-d.y), nibExpm1Near(-d.z), nibExpm1Near(-d.w));
  vec4 ratio = mix(e_candidate - e_reference, e_reference * expm1, lessThan(abs(d), vec4(0.25)));
  sums.reference = nibPairAdd(sums.reference, e_reference);
  sums.difference = nibPairAdd(sums.difference, weighted);
  sums.ratio = nibPairAdd(sums.ratio, ratio);
}

void main() {
  uint row = push.head.tile_first + gl_WorkGroupID.x;
  Kept own = nothing(), other = nothing();
  for (uint col = gl_LocalInvocationIndex * 8u; col < push.cols; col += WG * 8u) {
    Octet x = candidateOctet(row, col);
    keep(own, x.a, col);
    keep(own, x.b, col + 4u);
    if (REFERENCE) {
      keep(other, referenceQuad(row, col), col);
      keep(other, referenceQuad(row, col + 4u), col + 4u);
    }
  }
  Largest candidate = largestOf(own);
  Largest reference = candidate;
  if (REFERENCE) reference = largestOf(other);
  float max_candidate = valueOf(candidate), max_reference = valueOf(reference);

  NibPair4 zero = NibPair4(vec4(0.0), vec4(0.0));
  Sums sums = Sums(zero, zero, zero, zero);
  for (uint col = gl_LocalInvocationIndex * 8u; col < push.cols; col += WG * 8u) {
    Octet x = candidateOctet(row, col);
    // A loop, because the terms are long.
    for (uint i = 0u; i < 2u; ++i) {
      uint at = col + 4u * i;
      precise vec4 c = valuesOf(i == 0u ? x.a : x.b) - max_candidate;
      precise vec4 r = vec4(0.0);
      if (REFERENCE) r = valuesOf(referenceQuad(row, at)) - max_reference;
      addQuad(sums, c, r, at);
    }
  }
  float sum = nibWorkgroupPairSum(nibPairFold(sums.candidate)).x;
  float divergence = 0.0;
  if (REFERENCE) {
    float weights = nibWorkgroupPairSum(nibPairFold(sums.reference)).x;
    float mean = nibWorkgroupPairSum(nibPairFold(sums.difference)).x / weights;
    float ratio = nibWorkgroupPairSum(nibPairFold(sums.ratio)).x / weights;
    // If the rows differ much, the quotient of the sums is more accurate.
    float log_ratio = ratio > -0.5 && ratio < 1.0 ? nibLog1p(ratio) : nibLog(sum / weights);
    divergence = max(mean + log_ratio, 0.0);
  }
  if (gl_LocalInvocationIndex != 0u) return;

  uint target = targets[push.indices_word + push.head.delta3 + row];
  float log_sum = nibLog(sum);
  precise float lse = max_candidate + log_sum;
  bool is_target = target < push.cols;
  uint loss = target == kNoTarget ? 0u : kNan;
  if (is_target && !candidate.nan) {
    uint element = row * push.candidate_stride + target;
    precise float distance = valuesOf(uvec4(nibLoadOne(element, push.candidate_word + push.head.delta1))).x -
                             max_candidate;
    precise float of_target = distance - log_sum;
    loss = floatBitsToUint(of_target);
  }
  bool agrees = REFERENCE ? candidate.col == reference.col : candidate.col == target;
  bool nan = candidate.nan || (REFERENCE && reference.nan);
  if (kFault != 0u) lse += 1.0;
  uint to = push.result_word + push.head.delta2 + 4u * row;
  results[to] = candidate.nan ? kNan : floatBitsToUint(lse);
  results[to + 1u] = loss;
  results[to + 2u] = !REFERENCE ? 0u : nan ? kNan : floatBitsToUint(divergence);
  results[to + 3u] = agrees && !nan ? 0x3f800000u : 0u;
}
