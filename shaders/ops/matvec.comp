#version 450
// Weights times few activations: y[token, row] = sum over columns of w[row, column] * x[token, column], in fp32. A
// workgroup makes WG / LANES * ROWS rows of TOKENS tokens; a team of LANES invocations owns ROWS rows. A lane takes
// every LANES-th unit of UNIT runs, decodes it once for all tokens and loads activations once for all rows; the team
// then adds up its sums. Reads a weights code (NIB_BITS bits, or a dense element) once per TOKENS tokens and an
// activation (2 or 4 bytes) once per ROWS rows, writes every result (2 or 4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "ops/matvec.h"
MATVEC_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ProductPush push; };

#define NIB_ACTIVATIONS
#include "products/float_product.glsl"
#include "workgroup/team_sum.glsl"
#include "memory/weight_run.glsl"

const uint TEAMS = WG / LANES;

// By token, with a row in each component. With ROWS 2 the last two components are unused.
vec4 total[TOKENS];
vec4 part[TOKENS];
NibWeightRun run[ROWS];
uint input_start[TOKENS];

// Adds the products of four columns, of every row and token. w[r]: the weights of row r.
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

// Adds the products of runs [first_run, first_run + UNIT) of rows row..row + ROWS - 1. Rows after the last repeat it.
void addUnit(uint first_run, uint end_run, uint row, uint last_row) {
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
  // A zero group is 0 for any codes.
  bvec4 none = equal(scale, vec4(0.0));
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    total[t] += mix(scale * part[t], vec4(0.0), none);
    part[t] = vec4(0.0);
  }
}

#ifdef NIB_FORMAT
// The same with one scale per column: no work is shared by more than four columns.
void addColumns(uint first_run, uint end_run, uint row, uint last_row) {
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
  // A varying subgroup size may differ from LANES: a subgroup then does more or fewer iterations.
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
    // Rows after the last repeat it; they are not written.
    uint first_row = matrix * push.matrix_rows + min(row, push.matrix_rows - 1u);
    uint last_row = (matrix + 1u) * push.matrix_rows - 1u;
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) total[t] = part[t] = vec4(0.0);
    for (uint unit = first_unit + lane; unit < end_unit; unit += lanes) {
#ifdef NIB_FORMAT
      if (COLUMN) {
        addColumns(unit * UNIT, runs, first_row, last_row);
        continue;
      }
#endif
      addUnit(unit * UNIT, runs, first_row, last_row);
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
