#version 450
// Weights times few activations: y[token, row] = sum over columns of w[row, column] * x[token, column], in fp32. A team of
// LANES invocations has ROWS rows and TOKENS rows of activations; its lanes take turns at UNITs of columns, decode them
// once for all tokens and load activations once for all rows. Reads every code once per TOKENS rows of activations.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/matvec.h"
MATVEC_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MatvecPush push; };

#ifdef NIB_FORMAT
#include "format.glsl"
#include "common/codes.glsl"
#else
int nibZeroFromStored(uint stored, uint flags) {
  return 0;
}
#endif
#include "common/activations.glsl"
#define NIB_PARAMS_BINDING 1
#define NIB_PARAMS_ACCESS readonly
#define NIB_PARAMS_NESTED
#include "common/params.glsl"
#include "common/product_result.glsl"
#include "common/team_sum.glsl"
#include "common/weight_run.glsl"

#define NIB_EACH_ROW(X) X(0u) X(1u) X(2u) X(3u)
#define NIB_EACH_TOKEN(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)

const uint TEAMS = WG / LANES;

// By token, a row in each component; of what ROWS and TOKENS leave out, nothing remains.
vec4 total[8];
vec4 part[8];
NibWeightRun run[4];
uint input_start[8];

// Four columns of every row and token.
void multiply(vec4 w0, vec4 w1, vec4 w2, vec4 w3, uint col, bool whole) {
  mat4 w = transpose(mat4(w0, w1, w2, w3));
#define NIB_MULTIPLY(t)                                                                   \
  if (t < TOKENS) {                                                                       \
    vec4 x = nibInputQuad(input_start[t], col, push.cols, whole, push.head.delta3);       \
    part[t] += w[0] * x.x;                                                                \
    part[t] += w[1] * x.y;                                                                \
    part[t] += w[2] * x.z;                                                                \
    part[t] += w[3] * x.w;                                                                \
  }
  NIB_EACH_TOKEN(NIB_MULTIPLY)
}

void meetUnit(uint first_run, uint end_run, uint row, uint last_row) {
#define NIB_BEGIN(r) \
  if (r < ROWS) run[r] = nibBeginRun(min(row + r, last_row), first_run * uint(NIB_RUN));
  NIB_EACH_ROW(NIB_BEGIN)
  for (uint u = 0u; u < UNIT; ++u) {
    uint at = first_run + u;
    if (UNIT > 1u && at >= end_run) break;
    uint col = at * uint(NIB_RUN);
    bool whole = FULL || col + uint(NIB_RUN) <= push.cols;
#define NIB_LOAD(r) \
  if (r < ROWS) nibLoadRun(run[r], min(row + r, last_row), at);
    NIB_EACH_ROW(NIB_LOAD)
#define NIB_ROW_QUAD(r, q) (r < ROWS ? NIB_RUN_QUAD(run[r], q, col + 4u * q) : vec4(0.0))
#define NIB_MEET(q) \
  multiply(NIB_ROW_QUAD(0, q), NIB_ROW_QUAD(1, q), NIB_ROW_QUAD(2, q), NIB_ROW_QUAD(3, q), col + 4u * q, whole);
    NIB_EACH_QUAD(NIB_MEET)
  }
  vec4 scale = vec4(run[0].part.scale, run[1].part.scale, ROWS > 2u ? run[2].part.scale : 0.0,
                    ROWS > 2u ? run[3].part.scale : 0.0);
  // A zero group is zero whatever its codes say.
#define NIB_SCALE(t)                                                       \
  if (t < TOKENS) {                                                        \
    total[t] += mix(scale * part[t], vec4(0.0), equal(scale, vec4(0.0)));  \
    part[t] = vec4(0.0);                                                   \
  }
  NIB_EACH_TOKEN(NIB_SCALE)
}

// Adds the team's sums and writes those of a token's ROWS rows.
void finish(vec4 sums, vec4 bias, uint start, uint row, bool mine) {
  sums.xy = vec2(nibTeamSum(sums.x), nibTeamSum(sums.y));
  if (ROWS > 2u) sums.zw = vec2(nibTeamSum(sums.z), nibTeamSum(sums.w));
  if (!mine) return;
  nibStoreProducts(sums.xy, bias.xy, start, row, push.matrix_rows, push.head.delta2);
  if (ROWS > 2u) nibStoreProducts(sums.zw, bias.zw, start, row + 2u, push.matrix_rows, push.head.delta2);
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint split = 0u;
  if (SPLIT) {
    split = tile % push.splits;
    tile /= push.splits;
  }
  uint block = tile / push.row_blocks;
  uint row_block = tile - block * push.row_blocks;
  uint token_block = block / push.batch;
  uint matrix = block - token_block * push.batch;
  uint tokens = push.head.rows;
  uint first_token = token_block * TOKENS;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint first_unit = SPLIT ? split * push.units_per_split : 0u;
  uint end_unit = (runs + UNIT - 1u) / UNIT;
  if (SPLIT) end_unit = min(end_unit, first_unit + push.units_per_split);
#define NIB_START(t) \
  if (t < TOKENS) input_start[t] = (matrix * push.tokens + min(first_token + t, tokens - 1u)) * push.input_stride;
  NIB_EACH_TOKEN(NIB_START)

#if defined(SUBGROUP) && !defined(NIB_SUBGROUP_EMULATE)
  // Subgroups may be of another size than LANES, if it varies: they then take more or fewer turns.
  bool spread = LANES > 1u && LANES < WG;
  uint team = spread ? gl_SubgroupID : gl_LocalInvocationIndex / LANES;
  uint team_step = spread ? gl_NumSubgroups : TEAMS;
  uint lane = spread ? gl_SubgroupInvocationID : gl_LocalInvocationIndex % LANES;
  uint lanes = spread ? gl_SubgroupSize : LANES;
#else
  uint team = gl_LocalInvocationIndex / LANES;
  uint team_step = TEAMS;
  uint lane = gl_LocalInvocationIndex % LANES;
  uint lanes = LANES;
#endif
  for (; team < TEAMS; team += team_step) {
    uint row = (row_block * TEAMS + team) * ROWS;
    // Rows behind the last repeat it; they are not written.
    uint first_row = matrix * push.matrix_rows + min(row, push.matrix_rows - 1u);
    uint last_row = (matrix + 1u) * push.matrix_rows - 1u;
#define NIB_ZERO(t) total[t] = part[t] = vec4(0.0);
    NIB_EACH_TOKEN(NIB_ZERO)
    for (uint unit = first_unit + lane; unit < end_unit; unit += lanes) {
      meetUnit(unit * UNIT, runs, first_row, last_row);
    }
    vec4 bias = vec4(0.0);
    if (BIAS) {
      uint at = push.bias_word + push.head.delta1;
      bias = uintBitsToFloat(uvec4(params[at + first_row], params[at + min(first_row + 1u, last_row)],
                                   params[at + min(first_row + 2u, last_row)], params[at + min(first_row + 3u, last_row)]));
    }
    uint start = SPLIT ? (split * push.batch + matrix) * push.tokens * push.matrix_rows : matrix * push.tokens * push.result_stride;
    uint stride = SPLIT ? push.matrix_rows : push.result_stride;
#define NIB_FINISH(t) \
  if (t < TOKENS)     \
    finish(total[t], bias, start + (first_token + t) * stride, row, lane == t % lanes && first_token + t < tokens);
    NIB_EACH_TOKEN(NIB_FINISH)
  }
}
