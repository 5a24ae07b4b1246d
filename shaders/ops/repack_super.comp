#version 450
// Converts between the canonical layout of the K formats and ggml's super-blocks of 256. A workgroup owns WG words of
// the result, an invocation one word. Reads and writes every code, byte of a scale or minimum, and half once.
#extension GL_GOOGLE_include_directive : require
#include "ops/repack_super.h"
REPACK_SUPER_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { RepackSuperPush push; };
layout(set = 0, binding = 0, std430) readonly buffer From { uint from[]; };
layout(set = 0, binding = 1, std430) readonly buffer Params { uint params[]; };
layout(set = 0, binding = 2, std430) buffer To { uint to[]; };

#ifdef NIB_FAULT
#define NIB_FAULTY(index) ((index) % 3u == 2u ? 1u : 0u)
#else
#define NIB_FAULTY(index) 0u
#endif

// Functions of the format, because glslang 12 loses such expressions of specialization constants.
bool isQ4() { return FORMAT == NIB_K_Q4 || FORMAT == NIB_K_Q5; }
bool hasMinimum() { return FORMAT == NIB_K_Q2 || isQ4(); }
uint bitsOf() {
  return FORMAT == NIB_K_Q2 ? 2u : FORMAT == NIB_K_Q3 ? 3u : FORMAT == NIB_K_Q5 ? 5u : FORMAT == NIB_K_Q6 ? 6u : 4u;
}
uint groupsOf() { return isQ4() || FORMAT == NIB_K_IQ4 ? 8u : 16u; }
// Bytes of a super-block, and where in it its parts begin.
uint bytesOf() {
  return FORMAT == NIB_K_Q2   ? 84u
         : FORMAT == NIB_K_Q3 ? 110u
         : FORMAT == NIB_K_Q4 ? 144u
         : FORMAT == NIB_K_Q5 ? 176u
         : FORMAT == NIB_K_Q6 ? 210u
                              : 136u;
}
uint lowAt() {
  return FORMAT == NIB_K_Q3 ? 32u : FORMAT == NIB_K_Q5 ? 48u : FORMAT == NIB_K_Q6 ? 0u : FORMAT == NIB_K_IQ4 ? 8u : 16u;
}
uint highAt() { return FORMAT == NIB_K_Q5 ? 16u : FORMAT == NIB_K_Q6 ? 128u : 0u; }
uint scalesAt() { return FORMAT == NIB_K_Q2 ? 0u : FORMAT == NIB_K_Q3 ? 96u : FORMAT == NIB_K_Q6 ? 192u : 4u; }
uint dAt() { return FORMAT == NIB_K_Q2 ? 80u : FORMAT == NIB_K_Q3 ? 108u : FORMAT == NIB_K_Q6 ? 208u : 0u; }

// Where the low and the high bits of code j lie: byte of the super-block, first bit of it.
uvec2 lowOf(uint j) {
  uint l = j & 31u;
  if (FORMAT == NIB_K_Q2 || FORMAT == NIB_K_Q3) return uvec2(lowAt() + (j >> 7) * 32u + l, ((j >> 5) & 3u) * 2u);
  if (FORMAT == NIB_K_Q6) {
    return uvec2(lowAt() + (j >> 7) * 64u + ((j >> 5) & 1u) * 32u + l, ((j >> 6) & 1u) * 4u);
  }
  if (FORMAT == NIB_K_IQ4) return uvec2(lowAt() + (j >> 5) * 16u + (j & 15u), ((j >> 4) & 1u) * 4u);
  return uvec2(lowAt() + (j >> 6) * 32u + l, ((j >> 5) & 1u) * 4u);
}
uvec2 highOf(uint j) {
  if (FORMAT == NIB_K_Q6) return uvec2(highAt() + (j >> 7) * 32u + (j & 31u), ((j >> 5) & 3u) * 2u);
  return uvec2(highAt() + (j & 31u), j >> 5);
}
uint lowBits() { return FORMAT == NIB_K_Q2 || FORMAT == NIB_K_Q3 ? 2u : 4u; }
uint highBits() { return FORMAT == NIB_K_Q6 ? 2u : FORMAT == NIB_K_Q3 || FORMAT == NIB_K_Q5 ? 1u : 0u; }

// ------------------------------------------------------------------------------------------- from canonical
// Code j of a super-block.
uint codeOf(uint block, uint j) {
  uint bit = j * bitsOf();
  uint at = block * bitsOf() * 8u + (bit >> 5) + push.head.delta0;
  uint shift = bit & 31u;
  uint code = from[at] >> shift;
  if (shift + bitsOf() > 32u) code |= from[at + 1u] << (32u - shift);
  return code & ((1u << bitsOf()) - 1u);
}

uint paramOf(uint word, uint block, uint group) {
  uint index = block * groupsOf() + group;
  return (params[word + (index >> 2) + push.head.delta1] >> ((index & 3u) * 8u)) & 0xffu;
}
uint scaleOf(uint block, uint group) { return paramOf(push.scales_word, block, group); }
uint minimumOf(uint block, uint group) { return paramOf(push.zeros_word, block, group); }

// The low bits of the codes that share byte `at`, counted from the first byte of low bits.
uint lowByte(uint block, uint at) {
  if (FORMAT == NIB_K_Q2 || FORMAT == NIB_K_Q3) {
    uint j = (at >> 5) * 128u + (at & 31u);
    return ((codeOf(block, j) & 3u) | ((codeOf(block, j + 32u) & 3u) << 2)) |
           (((codeOf(block, j + 64u) & 3u) << 4) | ((codeOf(block, j + 96u) & 3u) << 6));
  }
  uint j = (at >> 5) * 64u + (at & 31u);
  uint next = 32u;
  if (FORMAT == NIB_K_Q6) {
    j = (at >> 6) * 128u + (at & 63u);
    next = 64u;
  }
  if (FORMAT == NIB_K_IQ4) {
    j = (at >> 4) * 32u + (at & 15u);
    next = 16u;
  }
  return (codeOf(block, j) & 15u) | ((codeOf(block, j + next) & 15u) << 4);
}

uint highByte(uint block, uint at) {
  uint byte = 0u;
  if (FORMAT == NIB_K_Q6) {
    uint j = (at >> 5) * 128u + (at & 31u);
    for (uint i = 0u; i < 4u; ++i) byte |= (codeOf(block, j + 32u * i) >> 4) << (2u * i);
    return byte;
  }
  for (uint i = 0u; i < 8u; ++i) byte |= (codeOf(block, at + 32u * i) >> lowBits()) << i;
  return byte;
}

// Byte `at` of the scales and minima.
uint scaleByte(uint block, uint at) {
  if (FORMAT == NIB_K_Q2) return (scaleOf(block, at) & 15u) | ((minimumOf(block, at) & 15u) << 4);
  if (FORMAT == NIB_K_Q6) return scaleOf(block, at);
  if (FORMAT == NIB_K_IQ4) return (scaleOf(block, at * 2u) & 15u) | ((scaleOf(block, at * 2u + 1u) & 15u) << 4);
  if (FORMAT == NIB_K_Q3) {
    if (at < 8u) return (scaleOf(block, at) & 15u) | ((scaleOf(block, at + 8u) & 15u) << 4);
    uint byte = 0u;
    for (uint i = 0u; i < 4u; ++i) byte |= ((scaleOf(block, at - 8u + 4u * i) >> 4) & 3u) << (2u * i);
    return byte;
  }
  if (at < 4u) return (scaleOf(block, at) & 63u) | (((scaleOf(block, at + 4u) >> 4) & 3u) << 6);
  if (at < 8u) return (minimumOf(block, at - 4u) & 63u) | (((minimumOf(block, at) >> 4) & 3u) << 6);
  return (scaleOf(block, at - 4u) & 15u) | ((minimumOf(block, at - 4u) & 15u) << 4);
}

uint scaleBytes() { return FORMAT == NIB_K_Q2 || FORMAT == NIB_K_Q6 ? 16u : FORMAT == NIB_K_IQ4 ? 4u : 12u; }
uint lowBytes() { return 32u * lowBits(); }

// Byte `at` of a super-block, as ggml has it.
uint packedByte(uint block, uint at) {
  if (at >= lowAt() && at < lowAt() + lowBytes()) return lowByte(block, at - lowAt());
  if (highBits() != 0u && at >= highAt() && at < highAt() + 32u * highBits()) return highByte(block, at - highAt());
  if (at >= scalesAt() && at < scalesAt() + scaleBytes()) return scaleByte(block, at - scalesAt());
  if (FORMAT == NIB_K_IQ4 && at >= 2u) {
    uint byte = 0u;
    for (uint i = 0u; i < 4u; ++i) byte |= ((scaleOf(block, (at - 2u) * 4u + i) >> 4) & 3u) << (2u * i);
    return byte;
  }
  return (params[push.nested_word + block + push.head.delta1] >> ((at - dAt()) * 8u)) & 0xffu;
}

// ------------------------------------------------------------------------------------------- to canonical
// `bits` bits of a super-block from bit `place.y` of byte `place.x` on.
uint bitsAt(uint block, uvec2 place, uint bits) {
  uint byte = block * bytesOf() + place.x;
  return (from[(byte >> 2) + push.head.delta0] >> ((byte & 3u) * 8u + place.y)) & ((1u << bits) - 1u);
}

uint packedCode(uint block, uint j) {
  uint code = bitsAt(block, lowOf(j), lowBits());
  if (highBits() != 0u) code |= bitsAt(block, highOf(j), highBits()) << lowBits();
  return code;
}

// The byte of a group's scale, or of its minimum.
uint packedParam(uint block, uint j, bool minimum) {
  if (FORMAT == NIB_K_Q2) return bitsAt(block, uvec2(scalesAt() + j, minimum ? 4u : 0u), 4u);
  if (FORMAT == NIB_K_Q6) return bitsAt(block, uvec2(scalesAt() + j, 0u), 8u);
  if (FORMAT == NIB_K_IQ4) {
    return bitsAt(block, uvec2(scalesAt() + (j >> 1), (j & 1u) * 4u), 4u) |
           (bitsAt(block, uvec2(2u + (j >> 2), (j & 3u) * 2u), 2u) << 4);
  }
  if (FORMAT == NIB_K_Q3) {
    return bitsAt(block, uvec2(scalesAt() + (j & 7u), (j >> 3) * 4u), 4u) |
           (bitsAt(block, uvec2(scalesAt() + 8u + (j & 3u), (j >> 2) * 2u), 2u) << 4);
  }
  uint at = scalesAt() + j + (minimum ? 4u : 0u);
  if (j < 4u) return bitsAt(block, uvec2(at, 0u), 6u);
  return bitsAt(block, uvec2(scalesAt() + 4u + j, minimum ? 4u : 0u), 4u) |
         (bitsAt(block, uvec2(at - 4u, 6u), 2u) << 4);
}

uint halfAt(uint block, uint at) {
  return bitsAt(block, uvec2(at, 0u), 8u) | (bitsAt(block, uvec2(at + 1u, 0u), 8u) << 8);
}

void storeWord(uint at, uint item, uint word) { to[at + item + push.head.delta2] = word ^ NIB_FAULTY(item); }

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  // Super-blocks [begin, end) are the run's; rows count from the first of the matrix.
  uint begin = push.head.first_row * push.blocks_per_row;
  uint end = push.head.rows * push.blocks_per_row;
  if (!UNPACK) {
    // Super-blocks are whole halves, so a word may belong to two rows.
    uint first = item * 4u;
    if (first >= end * bytesOf() || first + 4u <= begin * bytesOf()) return;
    uint word = 0u;
    uint mask = 0u;
    for (uint i = 0u; i < 4u; ++i) {
      uint block = (first + i) / bytesOf();
      bool mine = block >= begin && block < end;
      // Behind the last row of the matrix is padding, 0.
      if (mine || (block >= end && push.head.rows == push.blob_rows)) mask |= 0xffu << (i * 8u);
      if (mine) word |= packedByte(block, first + i - block * bytesOf()) << (i * 8u);
    }
    uint at = item + push.head.delta2;
    word ^= NIB_FAULTY(item);
    to[at] = mask == ~0u ? word : (to[at] & ~mask) | (word & mask);
  } else if (PART == 0u) {
    uint block = item / (bitsOf() * 8u);
    if (block < begin || block >= end) return;
    uint bit = (item - block * bitsOf() * 8u) * 32u;
    uint word = 0u;
    for (uint j = bit / bitsOf(); j < 256u && j * bitsOf() < bit + 32u; ++j) {
      uint code = packedCode(block, j);
      word |= j * bitsOf() >= bit ? code << (j * bitsOf() - bit) : code >> (bit - j * bitsOf());
    }
    storeWord(0u, item, word);
  } else if (PART == 3u) {
    if (item < begin || item >= end) return;
    uint word = halfAt(item, dAt());
    if (hasMinimum()) word |= halfAt(item, dAt() + 2u) << 16;
    storeWord(push.nested_word, item, word);
  } else {
    uint words = groupsOf() / 4u;
    uint block = item / words;
    if (block < begin || block >= end) return;
    uint group = (item - block * words) * 4u;
    uint word = 0u;
    for (uint i = 0u; i < 4u; ++i) word |= packedParam(block, group + i, PART == 2u) << (i * 8u);
    storeWord(PART == 2u ? push.zeros_word : push.scales_word, item, word);
  }
}
