#version 450
// Weights times activations, for devices whose subgroup is a CPU's vector. A workgroup makes 4 * WG rows of TOKENS
// tokens; an invocation owns four whole rows of weights and decodes them in registers, once for all tokens. The lanes
// of a subgroup load the activations of neighbouring columns, and every lane gets each of them by broadcast: without an
// address and a bounds check per value, shared memory or barriers. Sums are fp32. Reads a weights code (NIB_BITS bits,
// or a dense element) once per TOKENS tokens and an activation (2 or 4 bytes) once per 4 * subgroup size rows, writes
// every result (2 or 4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "ops/matmul_rows.h"
MATMUL_ROWS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ProductPush push; };

#define NIB_ACTIVATIONS
#include "products/float_product.glsl"
#include "memory/weight_run.glsl"
#include "memory/weight_quad.glsl"
#ifdef NIB_PART_IS_TABLE
#include "workgroup/lane_table.glsl"
#define ROW_QUAD(r, q, col) nibLanePart4(nibUnpack4(NIB_QUAD_OF(r.word, q)), r.part)
#else
#define ROW_QUAD NIB_RUN_QUAD
#endif

const uint ROWS = 4u;

// By token, with a row in each component.
vec4 total[TOKENS];
vec4 part[TOKENS];
NibWeightRun run[ROWS];
uint row_of[ROWS];
uint input_start[TOKENS];
vec4 x[TOKENS];  // four columns that this lane has loaded

// Loads this lane's four columns of LOAD_RUNS runs.
void loadInput(uint first_run) {
  uint mine = gl_SubgroupInvocationID & (LOAD_RUNS * uint(NIB_QUADS) - 1u);
  uint col = first_run * uint(NIB_RUN) + 4u * mine;
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    x[t] = nibInputQuad(input_start[t], col, push.cols, push.input_word + push.head.delta3);
  }
}

// Quad q of the loaded runs, which begins at column `col`: column c of the result are the four rows' weights.
mat4 loadQuad(uint q, uint col) {
  mat4 w;
#ifdef NIB_FORMAT
  if (COLUMN) {
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) w[r] = nibWeightQuad(row_of[r], col);
    return transpose(w);
  }
#endif
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) w[r] = ROW_QUAD(run[r], q, col);
  return transpose(w);
}

void multiply(mat4 by_column, uint t, vec4 columns) {
  part[t] = fma(by_column[0], vec4(columns.x), part[t]);
  part[t] = fma(by_column[1], vec4(columns.y), part[t]);
  part[t] = fma(by_column[2], vec4(columns.z), part[t]);
  part[t] = fma(by_column[3], vec4(columns.w), part[t]);
}

// Quad q times the activations that lane `lane` has loaded. A macro: the lane must be a constant.
#define NIB_MULTIPLY(q, lane) \
  { \
    mat4 w = loadQuad(q, at * uint(NIB_RUN) + 4u * q); \
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) multiply(w, t, subgroupBroadcast(x[t], lane)); \
  }
#define NIB_MULTIPLY_FIRST(q) NIB_MULTIPLY(q, q)
#define NIB_MULTIPLY_SECOND(q) NIB_MULTIPLY(q, q + uint(NIB_QUADS))

void loadRuns(uint at) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) nibLoadRun(run[r], row_of[r], at);
}

// Adds the products of one unit of columns.
void addUnit(uint unit) {
  vec4 scale = vec4(1.0);
  if (!COLUMN) {
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      run[r] = nibBeginRun(row_of[r], unit * UNIT * uint(NIB_RUN));
      scale[r] = run[r].part.scale;
    }
  }
  for (uint k = 0u; k < UNIT; k += LOAD_RUNS) {
    uint at = unit * UNIT + k;
    loadInput(at);
    loadRuns(at);
    NIB_EACH_QUAD(NIB_MULTIPLY_FIRST)
    if (LOAD_RUNS == 2u) {
      ++at;
      loadRuns(at);
      NIB_EACH_QUAD(NIB_MULTIPLY_SECOND)
    }
  }
  // A zero group is 0 for any codes.
  bvec4 none = equal(scale, vec4(0.0));
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    total[t] += mix(scale * part[t], vec4(0.0), none);
    part[t] = vec4(0.0);
  }
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, TOKENS);
  uint matrix = tile.matrix;
  uint tokens = push.head.rows;
  uint row = (tile.row_block * WG + gl_LocalInvocationIndex) * ROWS;
  // Rows after the last repeat it; they are not written. All lanes stay active: they load activations that others
  // multiply.
  uint last_row = (matrix + 1u) * push.matrix_rows - 1u;
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) row_of[r] = min(matrix * push.matrix_rows + row + r, last_row);
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    input_start[t] = (matrix * push.tokens + min(tile.first_token + t, tokens - 1u)) * push.input_stride;
    total[t] = part[t] = vec4(0.0);
  }
#ifdef NIB_PART_IS_TABLE
  nibFillLanes();
#endif
  uint unit_cols = UNIT * uint(NIB_RUN);
  uint units = (push.cols + unit_cols - 1u) / unit_cols;
  for (uint unit = 0u; unit < units; ++unit) addUnit(unit);

  vec4 bias = nibBiasOf(uvec4(row_of[0], row_of[1], row_of[2], row_of[3]));
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    uint token = tile.first_token + t;
    if (token >= tokens) continue;
    nibStoreFour(total[t], bias, (matrix * push.tokens + token) * push.result_stride, row);
  }
}
