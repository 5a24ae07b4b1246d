#version 450
// Attention of few queries. A workgroup has the queries of HEADS heads of one key head for TOKENS tokens, and takes
// KEYS keys at a time. First an invocation, or LANES that share a head's elements, multiplies a key by all queries;
// then a team of WG / (TOKENS * HEADS) invocations turns a query's scores into weights; then an invocation adds eight
// elements of every (WG / (HEAD_SIZE / 8))-th value to the sums of all queries. Keys and values (2 or 4 bytes an
// element) are read once by a tile, the queries once. Writes every result (2 or 4 bytes) or sum (4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#if defined(SUBGROUP) && !defined(NIB_SUBGROUP_EMULATE)
#define NIB_SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "ops/attention.h"
ATTENTION_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { AttentionPush push; };

#define NIB_STEP KEYS
#include "products/attention.glsl"

const uint ROWS = TOKENS * HEADS;
const uint OCTETS = HEAD_SIZE / 8u;
const uint MINE = KEYS * LANES / WG;  // keys of an invocation
const uint SIDE = WG / LANES;         // keys side by side
const uint TEAM = WG / ROWS;
const uint TEAMS_OF_VALUES = WG / OCTETS;
// Lanes write to different banks.
const uint PLANE = ROWS * KEYS + (LANES > 1u ? 8u : 0u);
#ifdef NIB_SHUFFLE
const uint PLANES = 1u;
#else
const uint PLANES = LANES;
#endif
const uint FLOATS = PLANES * PLANE > WG * 8u ? PLANES * PLANE : WG * 8u;

shared vec4 queries[ROWS * OCTETS * 2u];
shared float products[FLOATS];  // of queries and keys; at the end the sums of values
shared float weights[ROWS * KEYS];
shared float extremes[WG];
shared float factors[ROWS];

vec4 sum[ROWS * 2u];
float total[ROWS];

void loadQueries(NibAttentionTile tile) {
  for (uint i = gl_LocalInvocationIndex; i < ROWS * OCTETS; i += WG) {
    uint row = i / OCTETS;
    NibOctet x = nibLoadQuery(tile, row / HEADS, row % HEADS, (i - row * OCTETS) * 8u);
    queries[2u * i] = x.a;
    queries[2u * i + 1u] = x.b;
  }
}

// Products of the keys from row `first` on. Rows that the window does not have repeat its first or last.
void multiply(uint first, uint col, uvec2 loadable) {
  uint lane = gl_LocalInvocationIndex % LANES;
  uint key = gl_LocalInvocationIndex / LANES;
  float part[MINE * ROWS];
  [[unroll]] for (uint i = 0u; i < MINE * ROWS; ++i) part[i] = 0.0;
  for (uint octet = lane; octet < OCTETS; octet += LANES) {
    NibOctet k[MINE];
    [[unroll]] for (uint j = 0u; j < MINE; ++j) {
      k[j] = nibLoadKeys(clamp(first + key + j * SIDE, loadable.x, loadable.y), col + octet * 8u);
    }
    [[unroll]] for (uint row = 0u; row < ROWS; ++row) {
      vec4 a = queries[2u * (row * OCTETS + octet)], b = queries[2u * (row * OCTETS + octet) + 1u];
      [[unroll]] for (uint j = 0u; j < MINE; ++j) part[j * ROWS + row] += dot(a, k[j].a) + dot(b, k[j].b);
    }
  }
  [[unroll]] for (uint j = 0u; j < MINE; ++j) {
    [[unroll]] for (uint row = 0u; row < ROWS; ++row) {
      float x = part[j * ROWS + row];
      uint at = row * KEYS + key + j * SIDE;
#ifdef NIB_SHUFFLE
      if (LANES > 1u) {
        x += subgroupShuffleXor(x, 1u);
        x += subgroupShuffleXor(x, 2u);
      }
      if (lane == 0u) products[at] = x;
#else
      products[lane * PLANE + at] = x;
#endif
    }
  }
}

// The weights of a query's keys, and the factor by which a new largest score scales the earlier ones down.
void weigh(uint first, uvec2 rows, inout float largest) {
  uint row = gl_LocalInvocationIndex / TEAM;
  uint member = gl_LocalInvocationIndex - row * TEAM;
  uint end = row < ROWS ? KEYS : 0u;
  float high = kNibLowest;
  for (uint key = member; key < end; key += TEAM) {
    float score = kNibLowest;
    if (first + key >= rows.x && first + key < rows.y) {
      float x = products[row * KEYS + key];
      for (uint lane = 1u; lane < PLANES; ++lane) x += products[lane * PLANE + row * KEYS + key];
      score = nibScore(x);
    }
    weights[row * KEYS + key] = score;
    high = max(high, score);
  }
  extremes[gl_LocalInvocationIndex] = high;
  barrier();
  if (row < ROWS) {
    high = largest;
    for (uint i = 0u; i < TEAM; ++i) high = max(high, extremes[row * TEAM + i]);
    for (uint key = member; key < KEYS; key += TEAM) {
      float score = weights[row * KEYS + key];
      weights[row * KEYS + key] = score > kNibLow ? nibExp(score - high) : 0.0;
    }
    if (member == 0u) factors[row] = nibExp(largest - high);
    largest = high;
  }
  barrier();
}

void addValues(uint first, uint col, uvec2 loadable) {
  uint team = gl_LocalInvocationIndex / OCTETS;
  uint octet = gl_LocalInvocationIndex - team * OCTETS;
  if (team >= TEAMS_OF_VALUES) return;
  [[unroll]] for (uint row = 0u; row < ROWS; ++row) {
    float factor = factors[row];
    sum[2u * row] *= factor;
    sum[2u * row + 1u] *= factor;
    total[row] *= factor;
  }
  for (uint key = team; key < KEYS; key += TEAMS_OF_VALUES) {
    // Values that no token of the tile sees are not read.
    uint at = first + key;
    if (TOKENS == 1u && (at < nib_visible[0].x || at >= nib_visible[0].y)) continue;
    NibOctet v = nibLoadValues(clamp(at, loadable.x, loadable.y), col + octet * 8u);
    if (TOKENS > 1u) v = NibOctet(nibFinite(v.a), nibFinite(v.b));
    [[unroll]] for (uint row = 0u; row < ROWS; ++row) {
      float weight = weights[row * KEYS + key];
      sum[2u * row] += weight * v.a;
      sum[2u * row + 1u] += weight * v.b;
      total[row] += weight;
    }
  }
}

// Goes on from the record of the piece before.
void loadRecords(NibAttentionTile tile, inout float largest) {
  uint mine = gl_LocalInvocationIndex / TEAM;
  if (mine < ROWS && tile.token + mine / HEADS < push.head.rows && mine % HEADS < tile.heads) {
    largest = scratch4[nibRecord(tile.token + mine / HEADS, tile.head + mine % HEADS, 0u)].x;
  }
  uint octet = gl_LocalInvocationIndex;
  if (octet >= OCTETS) return;
  [[unroll]] for (uint row = 0u; row < ROWS; ++row) {
    if (tile.token + row / HEADS < push.head.rows && row % HEADS < tile.heads) {
      uint record = nibRecord(tile.token + row / HEADS, tile.head + row % HEADS, 0u);
      total[row] = scratch4[record].y;
      sum[2u * row] = scratch4[record + 1u + 2u * octet];
      sum[2u * row + 1u] = scratch4[record + 2u + 2u * octet];
    }
  }
}

// Adds up the teams' sums of a query and writes them.
void storeRow(NibAttentionTile tile, uint row) {
  uint team = gl_LocalInvocationIndex / OCTETS;
  uint octet = gl_LocalInvocationIndex - team * OCTETS;
  barrier();  // readers of the row before are done
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    if (r != row || team >= TEAMS_OF_VALUES) continue;
    [[unroll]] for (uint i = 0u; i < 4u; ++i) {
      products[team * HEAD_SIZE + octet * 8u + i] = sum[2u * r][i];
      products[team * HEAD_SIZE + octet * 8u + 4u + i] = sum[2u * r + 1u][i];
    }
    if (octet == 0u) extremes[team] = total[r];
  }
  barrier();
  uint token = tile.token + row / HEADS, head = row % HEADS;
  if (token >= push.head.rows || head >= tile.heads) return;
  float all = 0.0;
  for (uint i = 0u; i < TEAMS_OF_VALUES; ++i) all += extremes[i];
  for (uint quad = gl_LocalInvocationIndex; quad < HEAD_SIZE / 4u; quad += WG) {
    vec4 y = vec4(0.0);
    for (uint i = 0u; i < TEAMS_OF_VALUES; ++i) {
      uint at = i * HEAD_SIZE + quad * 4u;
      y += vec4(products[at], products[at + 1u], products[at + 2u], products[at + 3u]);
    }
    if (PARTIAL) {
      uint record = nibRecord(token, tile.head + head, tile.piece);
      if (quad == 0u) scratch4[record] = vec4(factors[row], all, 0.0, 0.0);
      scratch4[record + 1u + quad] = kFault != 0u ? -y - 1.0 : y;
    } else {
      nibStoreResult(token, tile.head + head, quad * 4u, all > 0.0 ? y / all : vec4(0.0));
    }
  }
}

void main() {
  NibAttentionTile tile = nibAttentionTile(push.head.tile_first + gl_WorkGroupID.x);
  if (tile.token >= push.head.rows) return;
  uint mine = gl_LocalInvocationIndex / TEAM;  // the query whose scores this invocation takes
  nibFindVisible(tile);
  loadQueries(tile);
  float largest = kNibLowest;
  [[unroll]] for (uint row = 0u; row < ROWS; ++row) {
    sum[2u * row] = sum[2u * row + 1u] = vec4(0.0);
    total[row] = 0.0;
  }
  if (CARRY && tile.piece > 0u) loadRecords(tile, largest);
  barrier();
  nibFindSteps();
  uvec2 loadable = nibLoadable(tile.piece);
  uvec2 rows = mine < ROWS ? nib_visible[mine / HEADS] : uvec2(0u);
  for (uint step = nibNextStep(0u, tile.piece); step != ~0u; step = nibNextStep(step + 1u, tile.piece)) {
    multiply(step * KEYS, tile.col, loadable);
    barrier();
    weigh(step * KEYS, rows, largest);
    addValues(step * KEYS, tile.col, loadable);
  }
  if (PARTIAL) {
    barrier();  // readers of factors are done
    if (mine < ROWS && gl_LocalInvocationIndex == mine * TEAM) factors[mine] = largest;
  }
  for (uint row = 0u; row < ROWS; ++row) storeRow(tile, row);
}
