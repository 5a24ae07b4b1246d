#version 450
// Error statistics of a candidate y against a reference x, per tile of 1024 elements in row-major order. A workgroup
// owns a tile, an invocation a leaf of eight elements: first the tile's largest values are found, then its sums, scaled
// by powers of two that follow from those. SOLO: an invocation owns a tile and reads it twice. Reads every element of
// both (2 or 4 bytes) once, writes 72 bytes per tile.
//
// The order of the sums is fixed, whatever the device: a leaf's elements i and i + 4, then those four partial sums in
// pairs, then the eight leaves of a node one after the other, then the 16 nodes. Largest values are scaled to [2^30,
// 2^31). Values below 2^-40 count as zero, and low parts of differences below 2^-63. So every summand is a multiple of
// 2^-126 and below 2^73, and no intermediate overflows or is denormal.
#extension GL_GOOGLE_include_directive : require
#include "ops/errors.h"
ERRORS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ErrorsPush push; };

#include "common/fault.glsl"
#include "numerics/exact.glsl"
#include "numerics/halves.glsl"
#include "numerics/pairs.glsl"
#include "numerics/scale_store.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Candidate1 { uint candidate1[]; };
layout(set = 0, binding = 0, std430) readonly buffer Candidate4 { uvec4 candidate4[]; };
layout(set = 0, binding = 1, std430) readonly buffer Reference1 { uint reference1[]; };
layout(set = 0, binding = 1, std430) readonly buffer Reference4 { uvec4 reference4[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Tiles { uint tiles[]; };

const uint kTile = 1024u;
const uint kLeaves = 128u;
const uint kNodes = 16u;
const uint kLeavesOfNode = 8u;
const uint kSums = 6u;
const uint kResultWords = 18u;

// Index of a leaf in shared memory: one unused element after each node keeps nodes in different banks.
const uint kPadded = kLeaves + kNodes;
uint padded(uint leaf) {
  return leaf + leaf / kLeavesOfNode;
}

// {largest difference, largest |x|, largest |y|, finite pairs and 2^16 times the others}
shared uvec4 leaf_extreme[kPadded];
shared uvec4 node_extreme[kNodes];
shared uint first_index;
shared vec2 leaf_sum[kSums * kPadded];
shared vec2 node_sum[kSums * kNodes];

uvec4 mergeExtremes(uvec4 a, uvec4 b) {
  return uvec4(max(a.xyz, b.xyz), a.w + b.w);
}

#define NIB_LEAF loadReference
#define NIB_LEAF_ONE loadReferenceOne
#define NIB_LEAF_WORDS reference1
#define NIB_LEAF_QUADS reference4
#define NIB_LEAF_TYPE REFERENCE_TYPE
#define NIB_LEAF_LAYOUT REFERENCE_LAYOUT
#include "memory/leaf.glsl"
#define NIB_LEAF loadCandidate
#define NIB_LEAF_ONE loadCandidateOne
#define NIB_LEAF_WORDS candidate1
#define NIB_LEAF_QUADS candidate4
#define NIB_LEAF_TYPE CANDIDATE_TYPE
#define NIB_LEAF_LAYOUT CANDIDATE_LAYOUT
#include "memory/leaf.glsl"

const uint kReferenceInfinity = REFERENCE_TYPE == NIB_F16 ? 0x47800000u : 0x7f800000u;
const uint kCandidateInfinity = CANDIDATE_TYPE == NIB_F16 ? 0x47800000u : 0x7f800000u;

// Four pairs x, y: their magnitudes with denormals as zeros, and their differences.
struct Quad {
  uvec4 x;
  uvec4 y;
  uvec4 opposite;    // the sign bit where x and y have different ones
  uvec4 difference;  // |x - y| * 2^64 rounded, as fp32 patterns with 9 exponent bits
  uvec4 rest;        // magnitudes of the rounding errors, likewise
  uvec4 rest_sign;
  uvec4 bad;         // 1: x or y is not finite, and all of the above is zero
};

uvec4 nonzeroPlus(uvec4 bits, uint add) {
  return mix(bits + add, uvec4(0u), equal(bits, uvec4(0u)));
}

Quad examine(uvec4 x, uvec4 y) {
  Quad q;
  uvec4 ax = x & 0x7fffffffu;
  uvec4 ay = y & 0x7fffffffu;
  q.bad = mix(uvec4(0u), uvec4(1u), greaterThanEqual(ax, uvec4(kReferenceInfinity)));
  q.bad |= mix(uvec4(0u), uvec4(1u), greaterThanEqual(ay, uvec4(kCandidateInfinity)));
  bvec4 bad = equal(q.bad, uvec4(1u));
  ax = mix(mix(ax, uvec4(0u), lessThan(ax, uvec4(0x00800000u))), uvec4(0u), bad);
  ay = mix(mix(ay, uvec4(0u), lessThan(ay, uvec4(0x00800000u))), uvec4(0u), bad);
  q.x = ax;
  q.y = ay;
  q.opposite = (x ^ y) & 0x80000000u;
  // Scaled so that the difference and its rounding error are normal numbers: pairs with a magnitude of 1 or more by
  // 2^-2, where the lost bits of the smaller one cannot change the difference, the others by 2^64.
  uvec4 large = max(ax, ay);
  uvec4 small = min(ax, ay);
  bvec4 upper = greaterThanEqual(large, uvec4(0x3f800000u));
  uvec4 lowered = mix(small - 0x01000000u, uvec4(0u), lessThan(small, uvec4(0x01800000u)));
  large = mix(nonzeroPlus(large, 0x20000000u), large - 0x01000000u, upper);
  small = mix(nonzeroPlus(small, 0x20000000u), lowered, upper);
  vec4 a = uintBitsToFloat(large);
  vec4 b = uintBitsToFloat(small | (q.opposite ^ 0x80000000u));
  precise vec4 sum = a + b;
  precise vec4 part = sum - a;
  precise vec4 rest = b - part;
  uvec4 unit = mix(uvec4(0u), uvec4(0x21000000u), upper);
  uvec4 rest_bits = floatBitsToUint(rest);
  uvec4 difference = floatBitsToUint(sum) & 0x7fffffffu;
  q.difference = mix(difference + unit, uvec4(0u), equal(difference, uvec4(0u)));
  q.rest = rest_bits & 0x7fffffffu;
  q.rest = mix(q.rest + unit, uvec4(0u), equal(q.rest, uvec4(0u)));
  q.rest_sign = rest_bits & 0x80000000u;
  return q;
}

// Patterns with `shift` added to their exponents. Zero stays zero; results below the exponent field `least` become
// zero.
uvec4 shifted(uvec4 bits, int shift, int least) {
  uvec4 moved = bits + uint(shift << 23);
  bvec4 none = lessThan(ivec4(bits >> 23) + shift, ivec4(least));
  return mix(mix(moved, uvec4(0u), none), uvec4(0u), lessThan(bits, uvec4(0x00800000u)));
}

// The sums, as pairs {high, low}.
struct Sums {
  vec2 squares;
  vec2 magnitudes;
  vec2 x_squares;
  vec2 y_squares;
  vec2 products;
  vec2 x_magnitudes;
};

struct Terms {
  NibPair4 squares;
  NibPair4 magnitudes;
  NibPair4 x_squares;
  NibPair4 y_squares;
  NibPair4 products;
  NibPair4 x_magnitudes;
};

// `shift` makes the exponent fields of the tile's largest values 157, that of 2^30. 87 is the field of 2^-40, 64 of
// 2^-63.
Terms termsOf(Quad q, ivec3 shift) {
  Terms t;
  uvec4 difference_bits = shifted(q.difference, shift.x, 87);
  uvec4 rest_bits = shifted(q.rest, shift.x, 64);
  rest_bits = mix(rest_bits | q.rest_sign, uvec4(0u), equal(difference_bits, uvec4(0u)));
  vec4 difference = uintBitsToFloat(difference_bits);
  vec4 rest = uintBitsToFloat(rest_bits);
  t.squares = nibPairProduct(difference, difference);
  precise vec4 low = t.squares.low + (difference + difference) * rest;
  t.squares.low = low;
  t.magnitudes = NibPair4(difference, rest);
  vec4 x = uintBitsToFloat(shifted(q.x, shift.y, 87));
  uvec4 y_bits = shifted(q.y, shift.z, 87);
  vec4 y = uintBitsToFloat(y_bits);
  t.x_squares = nibPairProduct(x, x);
  t.y_squares = nibPairProduct(y, y);
  t.products = nibPairProduct(x, uintBitsToFloat(y_bits | q.opposite));
  t.x_magnitudes = NibPair4(x, vec4(0.0));
  return t;
}

Sums leafSums(Quad q0, Quad q1, ivec3 shift) {
  Terms a = termsOf(q0, shift);
  Terms b = termsOf(q1, shift);
  return Sums(nibPairFold(nibPairAdd(a.squares, b.squares)), nibPairFold(nibPairAdd(a.magnitudes, b.magnitudes)),
              nibPairFold(nibPairAdd(a.x_squares, b.x_squares)), nibPairFold(nibPairAdd(a.y_squares, b.y_squares)),
              nibPairFold(nibPairAdd(a.products, b.products)), nibPairFold(nibPairAdd(a.x_magnitudes, b.x_magnitudes)));
}

Sums addSums(Sums a, Sums b) {
  return Sums(nibPairAdd(a.squares, b.squares), nibPairAdd(a.magnitudes, b.magnitudes),
              nibPairAdd(a.x_squares, b.x_squares), nibPairAdd(a.y_squares, b.y_squares),
              nibPairAdd(a.products, b.products), nibPairAdd(a.x_magnitudes, b.x_magnitudes));
}

uint largest(uvec4 a, uvec4 b) {
  uvec4 m = max(a, b);
  return max(max(m.x, m.y), max(m.z, m.w));
}

uvec4 extremeOf(Quad q0, Quad q1, uint count) {
  uvec4 all_bad = q0.bad + q1.bad;
  uint bad = (all_bad.x + all_bad.y) + (all_bad.z + all_bad.w);
  return uvec4(largest(q0.difference, q1.difference), largest(q0.x, q1.x), largest(q0.y, q1.y),
               (count - bad) | (bad << 16));
}

// Index of the first of a leaf's differences that is `value`, which one of them is.
uint indexOf(Quad q0, Quad q1, uint value) {
  uint at = 7u;
  at = q1.difference.z == value ? 6u : at;
  at = q1.difference.y == value ? 5u : at;
  at = q1.difference.x == value ? 4u : at;
  at = q0.difference.w == value ? 3u : at;
  at = q0.difference.z == value ? 2u : at;
  at = q0.difference.y == value ? 1u : at;
  at = q0.difference.x == value ? 0u : at;
  return at;
}

ivec3 shiftOf(uvec4 extreme) {
  return 157 - ivec3(extreme.xyz >> 23);
}

void examineLeaf(uint first, uint count, out Quad q0, out Quad q1) {
  uvec4 x0, x1, y0, y1;
  loadReference(first, count, push.reference_stride, push.head.delta1, x0, x1);
  loadCandidate(first, count, push.candidate_stride, push.candidate_word + push.head.delta0, y0, y1);
  q0 = examine(x0, y0);
  q1 = examine(x1, y1);
}

// Not every device keeps the sign of zero, so zero is stored as +0.
uint storable(float x) {
  uint bits = floatBitsToUint(x);
  return bits == 0x80000000u ? 0u : bits;
}

void writeExtreme(uint at, uvec4 extreme, uint first_element) {
  tiles[at] = extreme.w & 0xffffu;
  tiles[at + 1u] = extreme.w >> 16;
  tiles[at + 2u] = extreme.x;
  tiles[at + 3u] = first_element;
  tiles[at + 4u] = extreme.y;
  tiles[at + 5u] = extreme.z;
}

void writeSum(uint at, uint index, vec2 sum) {
  tiles[at + 6u + 2u * index] = storable(sum.x);
  tiles[at + 7u + 2u * index] = storable(sum.y) ^ (index == 4u ? kFault : 0u);
}

void soloTile(uint tile, uint total) {
  if (tile >= (total + kTile - 1u) / kTile) return;
  uint end = min((tile + 1u) * kTile, total);
  uvec4 extreme = uvec4(0u);
  uint first_element = 0xffffffffu;
  Quad q0, q1;
  for (uint first = tile * kTile; first < end; first += 8u) {
    uint count = min(8u, end - first);
    examineLeaf(first, count, q0, q1);
    uvec4 of_leaf = extremeOf(q0, q1, count);
    if (of_leaf.x > extreme.x) first_element = first + indexOf(q0, q1, of_leaf.x);
    extreme = mergeExtremes(extreme, of_leaf);
  }
  ivec3 shift = shiftOf(extreme);
  // Starting from zero and leaving out leaves after the end changes no bit but the signs of zeros.
  Sums zero = Sums(vec2(0.0), vec2(0.0), vec2(0.0), vec2(0.0), vec2(0.0), vec2(0.0));
  Sums sums = zero;
  for (uint node = tile * kTile; node < end; node += 8u * kLeavesOfNode) {
    Sums of_node = zero;
    uint node_end = min(node + 8u * kLeavesOfNode, end);
    for (uint first = node; first < node_end; first += 8u) {
      examineLeaf(first, min(8u, end - first), q0, q1);
      of_node = addSums(of_node, leafSums(q0, q1, shift));
    }
    sums = addSums(sums, of_node);
  }
  uint at = tile * kResultWords + push.head.delta2;
  writeExtreme(at, extreme, first_element);
  writeSum(at, 0u, sums.squares);
  writeSum(at, 1u, sums.magnitudes);
  writeSum(at, 2u, sums.x_squares);
  writeSum(at, 3u, sums.y_squares);
  writeSum(at, 4u, sums.products);
  writeSum(at, 5u, sums.x_magnitudes);
}

void keepLeaf(uint sum, uint leaf, vec2 value) {
  leaf_sum[sum * kPadded + padded(leaf)] = value;
}

void main() {
  uint total = push.cols * push.head.rows;
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (SOLO) {
    soloTile(tile * WG + gl_LocalInvocationIndex, total);
    return;
  }
  uint leaf = gl_LocalInvocationIndex;
  uint first = tile * kTile + leaf * 8u;
  uint count = min(8u, total - min(first, total));
  Quad q0, q1;
  examineLeaf(first, count, q0, q1);

  if (leaf == 0u) first_index = 0xffffffffu;
  leaf_extreme[padded(leaf)] = extremeOf(q0, q1, count);
  barrier();
  if (leaf < kNodes) {
    uint from = padded(leaf * kLeavesOfNode);
    uvec4 of_node = leaf_extreme[from];
    for (uint i = 1u; i < kLeavesOfNode; ++i) of_node = mergeExtremes(of_node, leaf_extreme[from + i]);
    node_extreme[leaf] = of_node;
  }
  barrier();
  uvec4 extreme = node_extreme[0];
  for (uint i = 1u; i < kNodes; ++i) extreme = mergeExtremes(extreme, node_extreme[i]);

  if (extreme.x != 0u && largest(q0.difference, q1.difference) == extreme.x) {
    atomicMin(first_index, first + indexOf(q0, q1, extreme.x));
  }
  Sums sums = leafSums(q0, q1, shiftOf(extreme));
  keepLeaf(0u, leaf, sums.squares);
  keepLeaf(1u, leaf, sums.magnitudes);
  keepLeaf(2u, leaf, sums.x_squares);
  keepLeaf(3u, leaf, sums.y_squares);
  keepLeaf(4u, leaf, sums.products);
  keepLeaf(5u, leaf, sums.x_magnitudes);
  barrier();
  if (leaf < kSums * kNodes) {
    uint from = leaf / kNodes * kPadded + padded(leaf % kNodes * kLeavesOfNode);
    vec2 sum = leaf_sum[from];
    for (uint i = 1u; i < kLeavesOfNode; ++i) sum = nibPairAdd(sum, leaf_sum[from + i]);
    node_sum[leaf] = sum;
  }
  barrier();
  uint at = tile * kResultWords + push.head.delta2;
  if (leaf < kSums) {
    vec2 sum = node_sum[leaf * kNodes];
    for (uint i = 1u; i < kNodes; ++i) sum = nibPairAdd(sum, node_sum[leaf * kNodes + i]);
    writeSum(at, leaf, sum);
  }
  if (leaf == kSums) writeExtreme(at, extreme, first_index);
}
