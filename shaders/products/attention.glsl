// Shared by the attention kernels: which queries a tile has, which rows of the cache its tokens see, loads of queries,
// scores, records in scratch and results. Declare before including: the constants and push constants of
// common/attention.h, and NIB_STEP, the keys of a step.
#ifndef NIB_PRODUCTS_ATTENTION_GLSL
#define NIB_PRODUCTS_ATTENTION_GLSL

#include "common/fault.glsl"
#include "common/nibble_constants.h"
#ifdef NIB_FORMAT
#include "format.glsl"
#endif
#include "memory/cache.glsl"
#include "numerics/exp_log.glsl"
const bool VEC = true;
const bool FULL = true;
#define NIB_DENSE_RESULT
#include "memory/dense.glsl"

layout(set = 0, binding = 1, std430) readonly buffer Input4 { uvec4 input4[]; };
layout(set = 0, binding = 2, std430) buffer Scratch4 { vec4 scratch4[]; };
layout(set = 0, binding = 2, std430) readonly buffer Copied4 { uvec4 copied4[]; };

// Less than every score, and what it is compared with.
const float kNibLowest = -3.0e38;
const float kNibLow = -1.0e38;

struct NibAttentionTile {
  uint token;  // the first
  uint head;   // the first
  uint heads;  // up to HEADS
  uint col;    // of the key head's first element in rows of the cache
  uint piece;
};

NibAttentionTile nibAttentionTile(uint tile) {
  uint key_heads = push.heads / push.group;
  uint tiles = push.token_tiles * key_heads * push.head_tiles;  // of a piece
  uint block = tile / (tiles * push.pieces);
  uint in_block = tile - block * tiles * push.pieces;
  NibAttentionTile t;
  t.piece = in_block / tiles;
  uint in_piece = in_block - t.piece * tiles;
  uint token_tile = in_piece / (key_heads * push.head_tiles);
  uint head_tile = in_piece - token_tile * key_heads * push.head_tiles;
  uint key_head = head_tile / push.head_tiles;
  uint in_group = (head_tile - key_head * push.head_tiles) * HEADS;
  t.token = (block * push.token_tiles + token_tile) * TOKENS;
  t.head = key_head * push.group + in_group;
  t.heads = min(HEADS, push.group - in_group);
  t.col = key_head * HEAD_SIZE;
  return t;
}

uint nibRecord(uint token, uint head, uint piece) {
  uint records = (CARRY ? 0u : piece) * push.heads + head;
  return (token * push.scratch_words + 4u + records * (HEAD_SIZE + NIB_ATTENTION_RECORD) + push.head.delta2) >> 2;
}

// Rows [x, y) of the cache that a token sees and the piece has.
uvec2 nibVisible(uint token, uint piece) {
  uvec4 e = COPIED ? copied4[(token * push.scratch_words + push.head.delta2) >> 2]
                   : input4[(token * 4u + push.indices_word + push.head.delta1) >> 2];
  if (e.x >= push.cache_rows) return uvec2(0u);
  uint to = min(min(e.y, e.z == ~0u ? e.z : e.z + 1u), push.cache_rows - e.x);
  uvec2 rows = e.x + uvec2(min(e.w, to), to);
  if (CARRY) {
    uint first = piece * push.piece_rows;
    rows = clamp(rows, uvec2(first), uvec2(first + min(push.piece_rows, push.cache_rows - first)));
  }
  return rows;
}

// The rows that the piece's window has: loads of others are clamped to these.
uvec2 nibLoadable(uint piece) {
  if (!CARRY) return uvec2(0u, push.cache_rows - 1u);
  uint first = piece * push.piece_rows;
  return uvec2(first, first + min(push.piece_rows, push.cache_rows - first) - 1u);
}

shared uvec2 nib_visible[TOKENS];

void nibFindVisible(NibAttentionTile tile) {
  for (uint t = gl_LocalInvocationIndex; t < TOKENS; t += WG) {
    nib_visible[t] = tile.token + t < push.head.rows ? nibVisible(tile.token + t, tile.piece) : uvec2(0u);
  }
}

// Steps in which a token sees a key: [x, y] if they follow each other, as those of one sequence do. Else, and if there
// are none, x > y.
uvec2 nib_steps;

// After a barrier.
void nibFindSteps() {
  uint first = ~0u, last = 0u, latest_first = 0u, earliest_last = ~0u;
  for (uint t = 0u; t < TOKENS; ++t) {
    uvec2 rows = nib_visible[t];
    if (rows.x >= rows.y) continue;
    uvec2 steps = uvec2(rows.x, rows.y - 1u) / NIB_STEP;
    first = min(first, steps.x);
    latest_first = max(latest_first, steps.x);
    last = max(last, steps.y);
    earliest_last = min(earliest_last, steps.y);
  }
  nib_steps = latest_first <= earliest_last ? uvec2(first, last) : uvec2(1u, 0u);
}

// The first step from `step` on that belongs to the piece.
uint nibStepOf(uint step, uint piece) {
  if (CARRY || push.pieces == 1u) return step;
  return step + (piece + push.pieces - step % push.pieces) % push.pieces;
}

// The first one in which a token sees a key; ~0 if there is none. Steps are the same for every tile that a token may be
// in, so that it gets the same bytes in all.
uint nibNextStep(uint step, uint piece) {
  if (nib_steps.x <= nib_steps.y) {
    uint at = nibStepOf(max(nib_steps.x, step), piece);
    return at <= nib_steps.y ? at : ~0u;
  }
  uint next = ~0u;
  for (uint t = 0u; t < TOKENS; ++t) {
    uvec2 rows = nib_visible[t];
    if (rows.x >= rows.y) continue;
    uint at = nibStepOf(max(rows.x / NIB_STEP, step), piece);
    if (at <= (rows.y - 1u) / NIB_STEP) next = min(next, at);
  }
  return next;
}

// Eight elements of a query, times the scale; zeros beyond the run's tokens and the tile's heads.
NibOctet nibLoadQuery(NibAttentionTile tile, uint token, uint head, uint col) {
  if (tile.token + token >= push.head.rows || head >= tile.heads) return NibOctet(vec4(0.0), vec4(0.0));
  uint element = (tile.token + token) * push.source_stride + (tile.head + head) * HEAD_SIZE + col;
  uint delta = push.source_word + push.head.delta1;
  float scale = uintBitsToFloat(push.scale_bits);
  NibOctet x;
  if (SOURCE_TYPE == NIB_F32) {
    uint at = (element + delta) >> 2;
    x = NibOctet(uintBitsToFloat(input4[at]), uintBitsToFloat(input4[at + 1u]));
  } else {
    x = nibOctetOf(input4[((element >> 1) + delta) >> 2], SOURCE_TYPE == NIB_BF16);
  }
  return NibOctet(x.a * scale, x.b * scale);
}

// With its cap: c * tanh(x / c) by e^(-2 |x| / c).
float nibScore(float x) {
  if (!CAPPED) return x;
  float cap = uintBitsToFloat(push.cap_bits);
  float e = nibExp(-2.0 * abs(x) / cap);
  float y = cap * ((1.0 - e) / (1.0 + e));
  return x < 0.0 ? -y : y;
}

void nibStoreResult(uint token, uint head, uint col, vec4 y) {
  if (kFault != 0u && col == 0u) y.x = -y.x - 1.0;
  uvec4 bits = floatBitsToUint(y);
  bits = mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u)));
  uint element = token * push.result_stride + head * HEAD_SIZE + col;
  uint delta = push.result_word + push.head.delta2;
  if (RESULT_TYPE == NIB_F32) {
    result4[(element + delta) >> 2] = bits;
  } else {
    result2[((element >> 1) + delta) >> 1] = nibNarrow(bits);
  }
}

#endif
