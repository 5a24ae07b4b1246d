#version 450
// Attention of many queries through shared memory. A workgroup has WG / 4 queries, those of HEADS heads of one key head
// for TOKENS tokens, and takes 16 * KEY_COLUMNS keys at a time. First an invocation makes the scores of four queries
// and KEY_COLUMNS keys, 32 elements of a head at a time; then four invocations turn a query's scores into weights; then
// an invocation adds VALUE_ROWS values at a time to the sums of four queries and QUADS quads of elements. Keys and
// values (2 or 4 bytes an element) are read once by a tile, the queries once for every step. Writes every result (2 or
// 4 bytes) or sum (4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/attention_tiles.h"
ATTENTION_TILES_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { AttentionPush push; };

const uint LANES = 16u;  // side by side along keys, then along elements
const uint STEP = LANES * KEY_COLUMNS;
#define NIB_STEP STEP
#include "products/attention.glsl"

const uint ROWS = WG / 4u;
const uint ROW_QUADS = ROWS / 4u;
const uint HEAD_QUADS = HEAD_SIZE / 4u;
const uint PART_QUADS = 8u;  // elements of a head at a time, as quads
// The extra vectors make rows begin in different banks.
const uint PART_STRIDE = PART_QUADS + 1u;
const uint WEIGHT_STRIDE = ROW_QUADS + 1u;
const uint PARTS_QUADS = (ROWS + STEP) * PART_STRIDE;
const uint VALUES_QUADS = VALUE_ROWS * HEAD_QUADS;

// Queries and keys, or values.
shared vec4 staged[PARTS_QUADS > VALUES_QUADS ? PARTS_QUADS : VALUES_QUADS];
shared vec4 weights[STEP * WEIGHT_STRIDE];  // scores, then weights, of four queries
shared float extremes[WG];
shared vec4 factors[ROW_QUADS];

vec4 sum[4u * QUADS];

bool isQuery(NibAttentionTile tile, uint row) {
  return row < TOKENS * HEADS && tile.token + row / HEADS < push.head.rows && row % HEADS < tile.heads;
}

// Stages 32 elements from `element` on of all queries and of the step's keys; zeros after the head's last.
void stageProducts(NibAttentionTile tile, uint first, uint element, uvec2 loadable) {
  for (uint i = gl_LocalInvocationIndex; i < (ROWS + STEP) * (PART_QUADS / 2u); i += WG) {
    uint line = i / (PART_QUADS / 2u);
    uint octet = i - line * (PART_QUADS / 2u);
    uint at = element + octet * 8u;
    NibOctet x = NibOctet(vec4(0.0), vec4(0.0));
    if (at < HEAD_SIZE) {
      if (line >= ROWS) {
        x = nibLoadKeys(clamp(first + line - ROWS, loadable.x, loadable.y), tile.col + at);
      } else if (line < TOKENS * HEADS) {
        x = nibLoadQuery(tile, line / HEADS, line % HEADS, at);
      }
    }
    staged[line * PART_STRIDE + 2u * octet] = x.a;
    staged[line * PART_STRIDE + 2u * octet + 1u] = x.b;
  }
}

// The scores of the step's keys, without a cap.
void multiply(NibAttentionTile tile, uint first, uvec2 loadable) {
  uint lane = gl_LocalInvocationIndex % LANES;
  uint quad = gl_LocalInvocationIndex / LANES;
  float score[4u * KEY_COLUMNS];
  [[unroll]] for (uint i = 0u; i < 4u * KEY_COLUMNS; ++i) score[i] = 0.0;
  for (uint element = 0u; element < HEAD_SIZE; element += PART_QUADS * 4u) {
    barrier();  // readers of what was staged before are done
    stageProducts(tile, first, element, loadable);
    barrier();
    [[unroll]] for (uint q = 0u; q < PART_QUADS; ++q) {
      vec4 x[4];
      [[unroll]] for (uint i = 0u; i < 4u; ++i) x[i] = staged[(quad * 4u + i) * PART_STRIDE + q];
      [[unroll]] for (uint j = 0u; j < KEY_COLUMNS; ++j) {
        vec4 k = staged[(ROWS + lane + j * LANES) * PART_STRIDE + q];
        [[unroll]] for (uint i = 0u; i < 4u; ++i) score[j * 4u + i] += dot(x[i], k);
      }
    }
  }
  [[unroll]] for (uint j = 0u; j < KEY_COLUMNS; ++j) {
    weights[(lane + j * LANES) * WEIGHT_STRIDE + quad] =
        vec4(score[j * 4u], score[j * 4u + 1u], score[j * 4u + 2u], score[j * 4u + 3u]);
  }
}

// The weights of a query's keys, of which this invocation takes every fourth, and the factor by which a new largest
// score scales the earlier ones down. `total` is the sum of this invocation's weights.
void weigh(uint first, uvec2 rows, inout float largest, inout float total) {
  uint row = gl_LocalInvocationIndex % ROWS;
  uint member = gl_LocalInvocationIndex / ROWS;
  float high = kNibLowest;
  for (uint key = member; key < STEP; key += 4u) {
    uint at = key * WEIGHT_STRIDE + row / 4u;
    bool seen = first + key >= rows.x && first + key < rows.y;
    float score = seen ? nibScore(weights[at][row % 4u]) : kNibLowest;
    weights[at][row % 4u] = score;
    high = max(high, score);
  }
  extremes[gl_LocalInvocationIndex] = high;
  barrier();
  high = largest;
  [[unroll]] for (uint i = 0u; i < 4u; ++i) high = max(high, extremes[i * ROWS + row]);
  float factor = nibExp(largest - high);
  largest = high;
  total *= factor;
  for (uint key = member; key < STEP; key += 4u) {
    uint at = key * WEIGHT_STRIDE + row / 4u;
    float score = weights[at][row % 4u];
    float weight = score > kNibLow ? nibExp(score - high) : 0.0;
    weights[at][row % 4u] = weight;
    total += weight;
  }
  if (member == 0u) factors[row / 4u][row % 4u] = factor;
  barrier();
}

// Values that no token sees count as 0, and so do NaN and infinities.
void stageValues(NibAttentionTile tile, uint first, uvec2 loadable) {
  for (uint i = gl_LocalInvocationIndex; i < VALUE_ROWS * (HEAD_QUADS / 2u); i += WG) {
    uint row = i / (HEAD_QUADS / 2u);
    uint octet = i - row * (HEAD_QUADS / 2u);
    NibOctet v = nibLoadValues(clamp(first + row, loadable.x, loadable.y), tile.col + octet * 8u);
    staged[row * HEAD_QUADS + 2u * octet] = nibFinite(v.a);
    staged[row * HEAD_QUADS + 2u * octet + 1u] = nibFinite(v.b);
  }
}

void addValues(NibAttentionTile tile, uint first, uvec2 loadable) {
  uint lane = gl_LocalInvocationIndex % LANES;
  uint quad = gl_LocalInvocationIndex / LANES;
  vec4 factor = factors[quad];
  [[unroll]] for (uint q = 0u; q < QUADS; ++q) {
    [[unroll]] for (uint i = 0u; i < 4u; ++i) sum[q * 4u + i] *= factor[i];
  }
  for (uint from = 0u; from < STEP; from += VALUE_ROWS) {
    barrier();  // readers of what was staged before are done
    stageValues(tile, first + from, loadable);
    barrier();
    for (uint key = 0u; key < VALUE_ROWS; ++key) {
      vec4 weight = weights[(from + key) * WEIGHT_STRIDE + quad];
      [[unroll]] for (uint q = 0u; q < QUADS; ++q) {
        if (lane + q * LANES < HEAD_QUADS) {
          vec4 v = staged[key * HEAD_QUADS + lane + q * LANES];
          [[unroll]] for (uint i = 0u; i < 4u; ++i) sum[q * 4u + i] += weight[i] * v;
        }
      }
    }
  }
}

uint recordOf(NibAttentionTile tile, uint row) {
  return nibRecord(tile.token + row / HEADS, tile.head + row % HEADS, tile.piece);
}

// Goes on from the record of the piece before.
void loadRecords(NibAttentionTile tile, inout float largest, inout float total) {
  uint mine = gl_LocalInvocationIndex % ROWS;
  if (isQuery(tile, mine)) {
    vec4 record = scratch4[recordOf(tile, mine)];
    largest = record.x;
    if (gl_LocalInvocationIndex < ROWS) total = record.y;
  }
  uint lane = gl_LocalInvocationIndex % LANES;
  [[unroll]] for (uint i = 0u; i < 4u; ++i) {
    uint row = gl_LocalInvocationIndex / LANES * 4u + i;
    if (!isQuery(tile, row)) continue;
    [[unroll]] for (uint q = 0u; q < QUADS; ++q) {
      if (lane + q * LANES < HEAD_QUADS) sum[q * 4u + i] = scratch4[recordOf(tile, row) + 1u + lane + q * LANES];
    }
  }
}

void store(NibAttentionTile tile, float largest, float total) {
  barrier();  // readers of extremes and factors are done
  extremes[gl_LocalInvocationIndex] = total;
  if (gl_LocalInvocationIndex < ROWS) {
    factors[gl_LocalInvocationIndex / 4u][gl_LocalInvocationIndex % 4u] = largest;
  }
  barrier();
  uint lane = gl_LocalInvocationIndex % LANES;
  uint quad = gl_LocalInvocationIndex / LANES;
  [[unroll]] for (uint i = 0u; i < 4u; ++i) {
    uint row = quad * 4u + i;
    if (!isQuery(tile, row)) continue;
    float all = (extremes[row] + extremes[ROWS + row]) + (extremes[2u * ROWS + row] + extremes[3u * ROWS + row]);
    if (PARTIAL && lane == 0u) scratch4[recordOf(tile, row)] = vec4(factors[quad][i], all, 0.0, 0.0);
    [[unroll]] for (uint q = 0u; q < QUADS; ++q) {
      uint at = lane + q * LANES;
      if (at >= HEAD_QUADS) continue;
      vec4 y = sum[q * 4u + i];
      if (PARTIAL) {
        scratch4[recordOf(tile, row) + 1u + at] = kFault != 0u ? -y - 1.0 : y;
      } else {
        nibStoreResult(tile.token + row / HEADS, tile.head + row % HEADS, at * 4u, all > 0.0 ? y / all : vec4(0.0));
      }
    }
  }
}

void main() {
  NibAttentionTile tile = nibAttentionTile(push.head.tile_first + gl_WorkGroupID.x);
  if (tile.token >= push.head.rows) return;
  nibFindVisible(tile);
  float largest = kNibLowest, total = 0.0;
  [[unroll]] for (uint i = 0u; i < 4u * QUADS; ++i) sum[i] = vec4(0.0);
  if (CARRY && tile.piece > 0u) loadRecords(tile, largest, total);
  barrier();
  nibFindSteps();
  uvec2 loadable = nibLoadable(tile.piece);
  uint mine = gl_LocalInvocationIndex % ROWS;
  uvec2 rows = isQuery(tile, mine) ? nib_visible[mine / HEADS] : uvec2(0u);
  for (uint step = nibNextStep(0u, tile.piece); step != ~0u; step = nibNextStep(step + 1u, tile.piece)) {
    multiply(tile, step * STEP, loadable);
    barrier();
    weigh(step * STEP, rows, largest, total);
    addValues(tile, step * STEP, loadable);
  }
  store(tile, largest, total);
}
