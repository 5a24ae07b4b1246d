#version 450
// Weights times few activations: y[token, row] = sum over columns of w[row, column] * x[token, column], in fp32. A team of
// LANES invocations has ROWS rows and TOKENS rows of activations; its lanes take turns at UNITs of columns, decode them
// once for all tokens and load activations once for all rows. Reads every code once per TOKENS rows of activations.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/matvec.h"
MATVEC_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ProductPush push; };

#define NIB_ACTIVATIONS
#include "products/float_product.glsl"
#include "workgroup/team_sum.glsl"
#include "memory/weight_run.glsl"

const uint TEAMS = WG / LANES;

// By token, a row in each component; what ROWS leaves out is never used.
vec4 total[TOKENS];
vec4 part[TOKENS];
NibWeightRun run[ROWS];
uint input_start[TOKENS];

// Four columns of every row and token: w[r] are row r's weights.
void multiply(mat4 w, uint col) {
  mat4 by_column = transpose(w);
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    vec4 x = nibInputQuad(input_start[t], col, push.cols, push.input_word + push.head.delta3);
    part[t] += by_column[0] * x.x;
    part[t] += by_column[1] * x.y;
    part[t] += by_column[2] * x.z;
    part[t] += by_column[3] * x.w;
  }
}

// Runs [first_run, first_run + UNIT) of rows row..row + ROWS - 1, where there are that many.
void meetUnit(uint first_run, uint end_run, uint row, uint last_row) {
  vec4 scale = vec4(1.0);
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    run[r] = nibBeginRun(min(row + r, last_row), first_run * uint(NIB_RUN));
    scale[r] = run[r].part.scale;
  }
  uint end = min(first_run + UNIT, end_run);
  for (uint at = first_run; at < end; ++at) {
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) nibLoadRun(run[r], min(row + r, last_row), at);
    [[unroll]] for (uint q = 0u; q < uint(NIB_QUADS); ++q) {
      uint col = at * uint(NIB_RUN) + 4u * q;
      mat4 w;
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) w[r] = NIB_RUN_QUAD(run[r], q, col);
      multiply(w, col);
    }
  }
  // A zero group is zero whatever its codes say.
  bvec4 none = equal(scale, vec4(0.0));
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    total[t] += mix(scale * part[t], vec4(0.0), none);
    part[t] = vec4(0.0);
  }
}

#ifdef NIB_FORMAT
// Of scales that go with columns: four columns at a time, as there is nothing to do once for more.
void meetColumns(uint first_run, uint end_run, uint row, uint last_row) {
  uint end = min(min(first_run + UNIT, end_run) * uint(NIB_RUN), push.cols);
  for (uint col = first_run * uint(NIB_RUN); col < end; col += 4u) {
    NibDecoder decoder = nibColumnDecoder(col);
    mat4 w;
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      w[r] = uintBitsToFloat(nibDecode4(nibUnpack4(nibLoadQuadCodes(min(row + r, last_row), col)), decoder));
    }
    multiply(w, col);
  }
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    total[t] += part[t];
    part[t] = vec4(0.0);
  }
}
#endif

void main() {
  uint number = push.head.tile_first + gl_WorkGroupID.x;
  uint split = 0u;
  if (SPLIT) {
    split = number % push.splits;
    number /= push.splits;
  }
  NibProductTile tile = nibProductTile(number, TOKENS);
  uint matrix = tile.matrix;
  uint tokens = push.head.rows;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint first_unit = SPLIT ? split * push.units_per_split : 0u;
  uint end_unit = (runs + UNIT - 1u) / UNIT;
  if (SPLIT) end_unit = min(end_unit, first_unit + push.units_per_split);
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    input_start[t] = (matrix * push.tokens + min(tile.first_token + t, tokens - 1u)) * push.input_stride;
  }

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
    uint row = (tile.row_block * TEAMS + team) * ROWS;
    // Rows behind the last repeat it; they are not written.
    uint first_row = matrix * push.matrix_rows + min(row, push.matrix_rows - 1u);
    uint last_row = (matrix + 1u) * push.matrix_rows - 1u;
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) total[t] = part[t] = vec4(0.0);
    for (uint unit = first_unit + lane; unit < end_unit; unit += lanes) {
#ifdef NIB_FORMAT
      if (COLUMN) {
        meetColumns(unit * UNIT, runs, first_row, last_row);
        continue;
      }
#endif
      meetUnit(unit * UNIT, runs, first_row, last_row);
    }
    vec4 bias = nibBiasOf(min(first_row + uvec4(0u, 1u, 2u, 3u), uvec4(last_row)));
    uint start = (SPLIT ? split * push.batch + matrix : matrix) * push.tokens;
    uint stride = SPLIT ? push.matrix_rows : push.result_stride;
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
      vec4 sums = vec4(nibTeamSum(total[t].x), nibTeamSum(total[t].y), 0.0, 0.0);
      if (ROWS > 2u) sums.zw = vec2(nibTeamSum(total[t].z), nibTeamSum(total[t].w));
      uint token = tile.first_token + t;
      if (lane != t % lanes || token >= tokens) continue;
      [[unroll]] for (uint r = 0u; r < ROWS; r += 2u) {
        nibStoreProducts(r == 0u ? sums.xy : sums.zw, r == 0u ? bias.xy : bias.zw, (start + token) * stride, row + r,
                         push.matrix_rows, push.head.delta2);
      }
    }
  }
}
