#version 450
// Converts between the canonical layout of the q formats and ggml's blocks of 32. A workgroup owns WG words of the
// result, an invocation one word. Reads and writes every code (BITS bits) and every scale and minimum (2 bytes each)
// once.
#extension GL_GOOGLE_include_directive : require
#include "ops/repack_block.h"
REPACK_BLOCK_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { RepackBlockPush push; };
layout(set = 0, binding = 0, std430) readonly buffer From { uint from[]; };
layout(set = 0, binding = 1, std430) readonly buffer Params { uint params[]; };
layout(set = 0, binding = 2, std430) buffer To { uint to[]; };

const uint kHead = MINIMUM ? 2u : 1u;         // halves before the codes
const uint kHalves = kHead + 2u * BITS;       // of a block
const uint kNibbles = kHead + (BITS == 5u ? 2u : 0u);

#ifdef NIB_FAULT
#define NIB_FAULTY(index) ((index) % 3u == 2u ? 1u : 0u)
#else
#define NIB_FAULTY(index) 0u
#endif

uint halfOf(uint word, uint index) {
  return (word >> ((index & 1u) * 16u)) & 0xffffu;
}

// Code i of a block, canonical.
uint codeOf(uint block, uint i) {
  uint bit = i * BITS;
  uint at = block * BITS + (bit >> 5) + push.head.delta0;
  uint code = from[at] >> (bit & 31u);
  if (BITS == 5u && (bit & 31u) > 27u) code |= from[at + 1u] << (32u - (bit & 31u));
  return code & ((1u << BITS) - 1u);
}

// Half k of a block, as ggml has it.
uint packedHalf(uint block, uint k) {
  if (k == 0u) return halfOf(params[push.scales_word + (block >> 1) + push.head.delta1], block);
  if (MINIMUM && k == 1u) return halfOf(params[push.zeros_word + (block >> 1) + push.head.delta1], block);
  if (BITS == 8u) {
    uint j = (k - kHead) * 2u;
    return codeOf(block, j) | (codeOf(block, j + 1u) << 8);
  }
  if (BITS == 5u && k < kNibbles) {
    uint bits = 0u;
    for (uint i = 0u; i < 16u; ++i) bits |= (codeOf(block, (k - kHead) * 16u + i) >> 4) << i;
    return bits;
  }
  uint j = (k - kNibbles) * 2u;
  return ((codeOf(block, j) & 15u) | ((codeOf(block, j + 16u) & 15u) << 4)) |
         (((codeOf(block, j + 1u) & 15u) << 8) | ((codeOf(block, j + 17u) & 15u) << 12));
}

uint byteOf(uint block, uint at) {
  uint byte = block * kHalves * 2u + at;
  return (from[(byte >> 2) + push.head.delta0] >> ((byte & 3u) * 8u)) & 0xffu;
}

uint blockHalf(uint block, uint k) {
  uint index = block * kHalves + k;
  return halfOf(from[(index >> 1) + push.head.delta0], index);
}

// Code i of a block, from ggml's bytes.
uint packedCode(uint block, uint i) {
  if (BITS == 8u) return byteOf(block, kHead * 2u + i);
  uint code = (byteOf(block, kNibbles * 2u + (i & 15u)) >> ((i >> 4) * 4u)) & 15u;
  if (BITS == 5u) code |= ((byteOf(block, kHead * 2u + (i >> 3)) >> (i & 7u)) & 1u) << 4;
  return code;
}

// Two halves of a word, of which a run owns those of its rows. Behind the last row of the matrix is padding, 0.
void storeHalves(uint at, uint word, uint first, uint begin, uint end) {
  bool last_rows = push.head.rows == push.blob_rows;
  uint mask = (first >= begin ? 0xffffu : 0u) | (first + 1u < end || last_rows ? 0xffff0000u : 0u);
  to[at] = mask == ~0u ? word : (to[at] & ~mask) | (word & mask);
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  // Blocks [begin, blocks) are the run's; rows count from the first of the matrix.
  uint begin = push.head.first_row * push.blocks_per_row;
  uint blocks = push.head.rows * push.blocks_per_row;
  if (!UNPACK) {
    uint first = item * 2u;
    if (first >= blocks * kHalves || first + 2u <= begin * kHalves) return;
    uint block = first / kHalves;
    uint word = packedHalf(block, first - block * kHalves);
    uint second = first + 1u;
    block = second / kHalves;
    if (second < blocks * kHalves) word |= packedHalf(block, second - block * kHalves) << 16;
    storeHalves(item + push.head.delta2, word ^ NIB_FAULTY(item), first, begin * kHalves, blocks * kHalves);
  } else if (CODES) {
    uint block = item / BITS;
    if (block < begin || block >= blocks) return;
    uint bit = (item - block * BITS) * 32u;
    uint word = 0u;
    for (uint i = bit / BITS; i < 32u && i * BITS < bit + 32u; ++i) {
      uint code = packedCode(block, i);
      word |= i * BITS >= bit ? code << (i * BITS - bit) : code >> (bit - i * BITS);
    }
    to[item + push.head.delta2] = word ^ NIB_FAULTY(item);
  } else {
    uint first = item * 2u;
    if (first >= blocks || first + 2u <= begin) return;
    uint scale = blockHalf(first, 0u);
    uint minimum = MINIMUM ? blockHalf(first, 1u) : 0u;
    if (first + 1u < blocks) {
      scale |= blockHalf(first + 1u, 0u) << 16;
      if (MINIMUM) minimum |= blockHalf(first + 1u, 1u) << 16;
    }
    storeHalves(push.scales_word + item + push.head.delta2, scale ^ NIB_FAULTY(item), first, begin, blocks);
    if (MINIMUM) storeHalves(push.zeros_word + item + push.head.delta2, minimum, first, begin, blocks);
  }
}
