#version 450
// Converts codes, or zero points, between the canonical layout and the rows of other programs. A workgroup owns WG
// words of the result, an invocation one word. Reads and writes every code (BITS bits) once; zero points are bytes in
// the canonical layout and BITS bits in the other.
#extension GL_GOOGLE_include_directive : require
#include "ops/repack.h"
REPACK_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { RepackPush push; };
layout(set = 0, binding = 0, std430) readonly buffer From { uint from[]; };
layout(set = 0, binding = 1, std430) buffer To { uint to[]; };

const uint kPerWord = 32u / BITS;
const uint kMask = (1u << BITS) - 1u;

#ifdef NIB_FAULT
#define NIB_FAULTY(index) ((index) % 3u == 2u ? 1u : 0u)
#else
#define NIB_FAULTY(index) 0u
#endif

// Rows count from the first of the matrix. A run's rows are [first_row, rows); words that it shares with other rows
// keep their bits. Behind the last row of the matrix is padding, 0.
bool lastRows() {
  return push.head.rows == push.blob_rows;
}

void storeShared(uint at, uint word, uint mask) {
  to[at] = mask == ~0u ? word : (to[at] & ~mask) | (word & mask);
}

uint swapped(uint word) {
  return ((word & 0x0f0f0f0fu) << 4) | ((word >> 4) & 0x0f0f0f0fu);
}

// Rows start on words in both layouts. Bits after a row's last code are 0 in both.
void moveWord(uint item) {
  if (item < push.head.first_row * push.row_words || item >= push.head.rows * push.row_words) return;
  uint left = push.cols - item % push.row_words * kPerWord;
  uint inside = left < kPerWord ? (1u << (left * BITS)) - 1u : ~0u;
  uint word = from[item + (UNPACK ? push.packed_word : 0u) + push.head.delta0];
  if (SWAP && UNPACK) word = swapped(word);
  word = (word ^ FLIP) & inside;
  if (SWAP && !UNPACK) word = swapped(word);
  to[item + (UNPACK ? 0u : push.packed_word) + push.head.delta1] = word ^ NIB_FAULTY(item);
}

// Packed word `item` of rows that follow each other without padding.
void packWord(uint item) {
  uint begin = push.head.first_row * push.cols;
  uint end = push.head.rows * push.cols;
  uint first = item * kPerWord;
  if (first >= end || first + kPerWord <= begin) return;
  uint word = 0u;
  uint mask = 0u;
  for (uint i = 0u; i < kPerWord; ++i) {
    if (first + i < begin || (first + i >= end && !lastRows())) continue;
    mask |= kMask << (i * BITS);
    if (first + i >= end) continue;
    uint row = (first + i) / push.cols;
    uint bit = (first + i - row * push.cols) * BITS;
    uint code = (from[row * push.row_words + (bit >> 5) + push.head.delta0] >> (bit & 31u)) & kMask;
    word |= code << (i * BITS);
  }
  storeShared(item + push.packed_word + push.head.delta1, word ^ NIB_FAULTY(item), mask);
}

// Canonical word `item`.
void unpackWord(uint item) {
  if (item < push.head.first_row * push.row_words || item >= push.head.rows * push.row_words) return;
  uint row = item / push.row_words;
  uint col = (item - row * push.row_words) * kPerWord;
  uint word = 0u;
  uint flip = 0u;
  for (uint i = 0u; i < kPerWord && col + i < push.cols; ++i) {
    uint element = row * push.cols + col + i;
    uint bit = element * BITS;  // modulo 2^32: only its low bits matter
    uint code = (from[element / kPerWord + push.packed_word + push.head.delta0] >> (bit & 31u)) & kMask;
    word |= code << (i * BITS);
    flip |= kMask << (i * BITS);
  }
  to[item + push.head.delta1] = word ^ (FLIP & flip) ^ NIB_FAULTY(item);
}

// Zero points: bytes per (row, group) <-> words (row / kPerWord, group).
void packZeros(uint item) {
  uint rows = push.one_row != 0u ? 1u : push.head.rows;
  uint first_row = push.one_row != 0u ? 0u : push.head.first_row;
  uint block = item / push.cols;
  if (block * kPerWord >= rows || (block + 1u) * kPerWord <= first_row) return;
  uint group = item - block * push.cols;
  uint word = 0u;
  uint flip = 0u;
  uint mask = 0u;
  for (uint i = 0u; i < kPerWord; ++i) {
    uint row = block * kPerWord + i;
    if (row < first_row || (row >= rows && !lastRows() && push.one_row == 0u)) continue;
    mask |= kMask << (i * BITS);
    if (row >= rows) continue;
    uint index = (block * kPerWord + i) * push.cols + group;
    uint zero = (from[push.zeros_word + (index >> 2) + push.head.delta0] >> ((index & 3u) * 8u)) & kMask;
    word |= zero << (i * BITS);
    flip |= kMask << (i * BITS);
  }
  storeShared(item + push.packed_word + push.head.delta1, word ^ (FLIP & flip) ^ NIB_FAULTY(item), mask);
}

void unpackZeros(uint item) {
  uint begin = push.one_row != 0u ? 0u : push.head.first_row * push.cols;
  uint end = (push.one_row != 0u ? 1u : push.head.rows) * push.cols;
  if (item * 4u >= end || item * 4u + 4u <= begin) return;
  uint word = 0u;
  uint mask = 0u;
  for (uint i = 0u; i < 4u; ++i) {
    uint index = item * 4u + i;
    if (index < begin || (index >= end && !lastRows() && push.one_row == 0u)) continue;
    mask |= 0xffu << (i * 8u);
    if (index >= end) continue;
    uint row = (item * 4u + i) / push.cols;
    uint group = item * 4u + i - row * push.cols;
    uint packed = from[push.packed_word + row / kPerWord * push.cols + group + push.head.delta0];
    word |= (((packed ^ FLIP) >> (row % kPerWord * BITS)) & kMask) << (i * 8u);
  }
  storeShared(push.zeros_word + item + push.head.delta1, word ^ NIB_FAULTY(item), mask);
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  if (ZEROS) {
    if (UNPACK) unpackZeros(item); else packZeros(item);
  } else if (!GATHER) {
    moveWord(item);
  } else {
    if (UNPACK) unpackWord(item); else packWord(item);
  }
}
