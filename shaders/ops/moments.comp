#version 450
// Sums of x and x^2, per tile of 1024 elements in row-major order. A workgroup owns a tile, an invocation a leaf of
// eight elements: first the tile's largest magnitude is found, then its sums, scaled by the power of two that follows
// from it. SOLO: an invocation owns a tile and reads it twice. COLUMNS: an invocation owns a tile of 256 rows of one
// column and reads it twice. Reads every element (2 or 4 bytes) once, writes 32 bytes per tile.
//
// The order of the sums and their scaling are those of errors.comp, whatever the device: a leaf's elements i and i + 4,
// then those four partial sums in pairs, then the eight leaves of a node one after the other, then the nodes. The
// largest magnitude is scaled to [2^30, 2^31). Values below 2^-40 count as zero, so no intermediate overflows or is
// denormal.
#extension GL_GOOGLE_include_directive : require
#include "ops/moments.h"
MOMENTS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MomentsPush push; };

const bool FULL = false;
#include "common/fault.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "numerics/pairs.glsl"
layout(set = 0, binding = 2, std430) writeonly buffer Tiles { uint tiles[]; };

const uint kTile = 1024u;
const uint kTileRows = 256u;
const uint kLeaf = 8u;
const uint kLeaves = 128u;
const uint kNodes = 16u;
const uint kLeavesOfNode = 8u;
const uint kResultWords = 8u;

// Index of a leaf in shared memory: one unused element after each node keeps nodes in different banks.
const uint kPadded = kLeaves + kNodes;
uint padded(uint leaf) {
  return leaf + leaf / kLeavesOfNode;
}

// {largest magnitude, finite elements and 2^16 times the others}
shared uvec2 leaf_extreme[kPadded];
shared uvec2 node_extreme[kNodes];
shared vec2 leaf_sum[2u * kPadded];
shared vec2 node_sum[2u * kNodes];

uvec2 mergeExtremes(uvec2 a, uvec2 b) {
  return uvec2(max(a.x, b.x), a.y + b.y);
}

// A leaf's elements as fp32 bits, and the number of those that are not finite, which are zero here.
struct Leaf {
  uvec4 x0;
  uvec4 x1;
  uint bad;
};

// Elements with non-finite ones and denormals as zero; counts the non-finite ones.
uvec4 cleaned(uvec4 x, inout uint bad) {
  uvec4 magnitude = x & 0x7fffffffu;
  uvec4 beyond = mix(uvec4(0u), uvec4(1u), greaterThanEqual(magnitude, uvec4(kNibInfinity)));
  bad += (beyond.x + beyond.y) + (beyond.z + beyond.w);
  x = mix(x, uvec4(0u), equal(beyond, uvec4(1u)));
  return mix(x, uvec4(0u), lessThan(magnitude, uvec4(0x00800000u)));
}

// Elements [first, first + count) of the matrix, count at most 8.
Leaf loadLeaf(uint first, uint count) {
  uvec4 x0 = uvec4(0u);
  uvec4 x1 = uvec4(0u);
  if (FLATTEN) {
    if (count > 0u) {
      nibLoadPair(0u, first, first + count, push.head.delta1, x0, x1);
      x0 &= nibInside(0u, count);
      x1 &= nibInside(4u, count);
    }
  } else {
    uint row = first / push.cols;
    uint col = first - row * push.cols;
    for (uint i = 0u; i < count; ++i) {
      uint x = nibLoadOne(row * push.stride + col, push.head.delta1);
      // Writes every component, because a variable index would keep the vectors out of registers.
      x0 = mix(x0, uvec4(x), equal(uvec4(i), uvec4(0u, 1u, 2u, 3u)));
      x1 = mix(x1, uvec4(x), equal(uvec4(i), uvec4(4u, 5u, 6u, 7u)));
      ++col;
      bool over = col == push.cols;
      col = over ? 0u : col;
      row += uint(over);
    }
  }
  Leaf leaf;
  leaf.bad = 0u;
  leaf.x0 = cleaned(x0, leaf.bad);
  leaf.x1 = cleaned(x1, leaf.bad);
  return leaf;
}

// Rows [first, first + count) of a column.
Leaf loadColumnLeaf(uint col, uint first, uint count) {
  uvec4 x0 = uvec4(0u);
  uvec4 x1 = uvec4(0u);
  for (uint i = 0u; i < count; ++i) {
    uint x = nibLoadOne((first + i) * push.stride + col, push.head.delta1);
    x0 = mix(x0, uvec4(x), equal(uvec4(i), uvec4(0u, 1u, 2u, 3u)));
    x1 = mix(x1, uvec4(x), equal(uvec4(i), uvec4(4u, 5u, 6u, 7u)));
  }
  Leaf leaf;
  leaf.bad = 0u;
  leaf.x0 = cleaned(x0, leaf.bad);
  leaf.x1 = cleaned(x1, leaf.bad);
  return leaf;
}

uvec2 extremeOf(Leaf leaf, uint count) {
  uvec4 m = max(leaf.x0 & 0x7fffffffu, leaf.x1 & 0x7fffffffu);
  return uvec2(max(max(m.x, m.y), max(m.z, m.w)), (count - leaf.bad) | (leaf.bad << 16));
}

// The elements with `shift` added to their exponents; results below 2^-40 become zero.
vec4 scaled(uvec4 bits, int shift) {
  uvec4 magnitude = bits & 0x7fffffffu;
  bvec4 none = lessThan(ivec4(magnitude >> 23) + shift, ivec4(87));
  uvec4 moved = mix(bits + uint(shift << 23), uvec4(0u), none);
  return uintBitsToFloat(mix(moved, uvec4(0u), equal(magnitude, uvec4(0u))));
}

// Pairs {high, low}.
struct Sums {
  vec2 values;
  vec2 squares;
};

Sums leafSums(Leaf leaf, int shift) {
  vec4 a = scaled(leaf.x0, shift);
  vec4 b = scaled(leaf.x1, shift);
  return Sums(nibPairFold(nibPairAdd(NibPair4(a, vec4(0.0)), NibPair4(b, vec4(0.0)))),
              nibPairFold(nibPairAdd(nibPairProduct(a, a), nibPairProduct(b, b))));
}

Sums addSums(Sums a, Sums b) {
  return Sums(nibPairAdd(a.values, b.values), nibPairAdd(a.squares, b.squares));
}

int shiftOf(uvec2 extreme) {
  return 157 - int(extreme.x >> 23);
}

// Not every device keeps the sign of zero, so zero is stored as +0.
uint storable(float x) {
  uint bits = floatBitsToUint(x);
  return bits == 0x80000000u ? 0u : bits;
}

void writeExtreme(uint at, uvec2 extreme) {
  tiles[at] = extreme.y & 0xffffu;
  tiles[at + 1u] = extreme.y >> 16;
  tiles[at + 2u] = extreme.x;
  tiles[at + 3u] = 0u;
}

void writeSum(uint at, uint index, vec2 sum) {
  tiles[at + 4u + 2u * index] = storable(sum.x);
  tiles[at + 5u + 2u * index] = storable(sum.y) ^ (index == 1u ? kFault : 0u);
}

void writeAll(uint tile, uvec2 extreme, Sums sums) {
  uint at = tile * kResultWords + push.head.delta2;
  writeExtreme(at, extreme);
  writeSum(at, 0u, sums.values);
  writeSum(at, 1u, sums.squares);
}

// Starting from zero and leaving out leaves after the end changes no bit but the signs of zeros.
const Sums kNothing = Sums(vec2(0.0), vec2(0.0));

// Elements [first, first + count) of the matrix, or with COLUMNS these rows of column `col`.
Leaf leafOf(uint first, uint count, uint col) {
  if (COLUMNS) return loadColumnLeaf(col, first, count);
  return loadLeaf(first, count);
}

// A tile of one invocation, elements or rows [begin, end), in two passes.
void wholeTile(uint tile, uint begin, uint end, uint col) {
  uvec2 extreme = uvec2(0u);
  for (uint first = begin; first < end; first += kLeaf) {
    uint count = min(kLeaf, end - first);
    extreme = mergeExtremes(extreme, extremeOf(leafOf(first, count, col), count));
  }
  int shift = shiftOf(extreme);
  Sums sums = kNothing;
  for (uint node = begin; node < end; node += kLeaf * kLeavesOfNode) {
    Sums of_node = kNothing;
    uint node_end = min(node + kLeaf * kLeavesOfNode, end);
    for (uint first = node; first < node_end; first += kLeaf) {
      of_node = addSums(of_node, leafSums(leafOf(first, min(kLeaf, end - first), col), shift));
    }
    sums = addSums(sums, of_node);
  }
  writeAll(tile, extreme, sums);
}

void soloTile(uint tile, uint total) {
  if (tile >= (total + kTile - 1u) / kTile) return;
  wholeTile(tile, tile * kTile, min((tile + 1u) * kTile, total), 0u);
}

void columnTile(uint tile) {
  uint block = tile / push.chunks;
  uint col = (tile - block * push.chunks) * WG + gl_LocalInvocationIndex;
  if (col >= push.cols) return;
  wholeTile(block * push.cols + col, block * kTileRows, min((block + 1u) * kTileRows, push.head.rows), col);
}

void sharedTile(uint tile, uint total) {
  uint leaf = gl_LocalInvocationIndex;
  uint first = tile * kTile + leaf * kLeaf;
  uint count = min(kLeaf, total - min(first, total));
  Leaf x = loadLeaf(first, count);
  leaf_extreme[padded(leaf)] = extremeOf(x, count);
  barrier();
  if (leaf < kNodes) {
    uint from = padded(leaf * kLeavesOfNode);
    uvec2 of_node = leaf_extreme[from];
    for (uint i = 1u; i < kLeavesOfNode; ++i) of_node = mergeExtremes(of_node, leaf_extreme[from + i]);
    node_extreme[leaf] = of_node;
  }
  barrier();
  uvec2 extreme = node_extreme[0];
  for (uint i = 1u; i < kNodes; ++i) extreme = mergeExtremes(extreme, node_extreme[i]);

  Sums sums = leafSums(x, shiftOf(extreme));
  leaf_sum[padded(leaf)] = sums.values;
  leaf_sum[kPadded + padded(leaf)] = sums.squares;
  barrier();
  if (leaf < 2u * kNodes) {
    uint from = leaf / kNodes * kPadded + padded(leaf % kNodes * kLeavesOfNode);
    vec2 sum = leaf_sum[from];
    for (uint i = 1u; i < kLeavesOfNode; ++i) sum = nibPairAdd(sum, leaf_sum[from + i]);
    node_sum[leaf] = sum;
  }
  barrier();
  uint at = tile * kResultWords + push.head.delta2;
  if (leaf < 2u) {
    vec2 sum = node_sum[leaf * kNodes];
    for (uint i = 1u; i < kNodes; ++i) sum = nibPairAdd(sum, node_sum[leaf * kNodes + i]);
    writeSum(at, leaf, sum);
  }
  if (leaf == 2u) writeExtreme(at, extreme);
}

void main() {
  uint total = push.cols * push.head.rows;
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (COLUMNS) {
    columnTile(tile);
  } else if (SOLO) {
    soloTile(tile * WG + gl_LocalInvocationIndex, total);
  } else {
    sharedTile(tile, total);
  }
}
