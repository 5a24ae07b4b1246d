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

#define NIB_HALVES_KEPT HALVES
#define NIB_SIGNED_BYTES SIGNED_BYTES
#define NIB_ACTIVATIONS
#include "products/float_product.glsl"
#include "workgroup/team_sum.glsl"
#include "memory/weight_run.glsl"
#ifdef NIB_PART_VALUES
#include "workgroup/value_table.glsl"
#endif

layout(set = 0, binding = 3, std430) readonly buffer Records { uint records[]; };

const uint TEAMS = WG / LANES;
// Functions with variables, because glslang 12 loses such expressions of specialization constants.
// Whether steps are counts less a zero point: signed bytes of symmetric codes are steps already.
bool hasZero() {
#ifdef NIB_PART_HAS_ZERO
  bool from_zero = NIB_COUNTS_FROM_ZERO;
  bool asymmetric = (FLAGS & NIB_ASYMMETRIC) != 0u;
  return !from_zero || asymmetric;
#else
  return false;
#endif
}

// Whether zero points are taken from a unit's sums instead of from every code. It costs a sum of the activations, which
// all rows share, but every token has its own.
bool takesZeroOnce() {
  bool fewer = ROWS > TOKENS;
  return hasZero() && fewer;
}

bool hasOneScale() {
#ifdef NIB_FORMAT
  bool by_column = COLUMN;
  return GROUP == NIB_GROUP_ROW && !by_column;
#else
  return true;
#endif
}

// By token, with a row in each component. With ROWS 2 the last two components are unused.
vec4 total[TOKENS];
vec4 part[TOKENS];
float input_sum[TOKENS];
NibWeightRun run[ROWS];
NibWeightRun next_run[ROWS];
// By row.
vec4 scale;
vec4 zero;
bvec4 is_scaled;  // false: the zero group, which is 0 for any codes
uint codes_start[ROWS];
uint row_scales[ROWS];    // index of the row's first scale
uint scales_start[ROWS];  // the same from the binding's begin
uint input_start[TOKENS];  // quads
uint unit_input[TOKENS];   // quads of the columns from the last beginInput on
uint reciprocal;  // ceil(2^32 / push.group)

// The activations of run `at` and of the next one.
void beginInput(uint at) {
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    unit_input[t] = input_start[t] + at * uint(NIB_QUADS);
  }
}

// Adds the products of columns col..col+3, quad q from beginInput on, of every row and token. w[r]: the weights of
// row r.
void multiply(mat4 w, uint col, uint q) {
  mat4 by_column = transpose(w);
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    vec4 x = FULL || col < push.cols ? nibInputAt(unit_input[t] + q) : vec4(0.0);
    if (takesZeroOnce()) input_sum[t] += (x.x + x.y) + (x.z + x.w);
    part[t] += by_column[0] * x.x;
    part[t] += by_column[1] * x.y;
    part[t] += by_column[2] * x.z;
    part[t] += by_column[3] * x.w;
  }
}

// Counts of codes less the zero point, unless that is taken later.
vec4 nibSteps(vec4 counts, float zero_of_row) {
  if (!hasZero() || takesZeroOnce()) return counts;
  return counts - zero_of_row;
}

// Quad q of a run, which begins at column `col`.
#if defined(NIB_PART_VALUES)
#define WEIGHTS(run, q, col) nibValues4(NIB_QUAD_OF(run.word, q))
#elif defined(NIB_PART_HAS_ZERO)
#define WEIGHTS(run, q, col) nibSteps(NIB_QUAD_COUNTS(run.word, q), zero[r])
#else
#define WEIGHTS(run, q, col) NIB_RUN_QUAD(run, q, col)
#endif

// Adds the products of run `at`, which is loaded and begins with quad `first` from beginInput on.
#define MULTIPLY_RUN(run, at, first)                                                            \
  [[unroll]] for (uint q = 0u; q < uint(NIB_QUADS); ++q) {                                      \
    uint col = (at) * uint(NIB_RUN) + 4u * q;                                                   \
    mat4 w;                                                                                     \
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) w[r] = WEIGHTS(run[r], q, col);                 \
    multiply(w, col, (first) + q);                                                              \
  }

#ifdef NIB_FORMAT
// The group of column `col`.
uint groupOf(uint col) {
#ifdef NIB_BLOCK_COLS
  return col / uint(NIB_BLOCK_COLS);
#endif
  if (GROUP < 32u) return col >> GROUP;
  if (GROUP != NIB_GROUP_MULTIPLY) return col / push.group;
  uint high, low;
  umulExtended(col, reciprocal, high, low);
  return high;
}
#endif

// Scales and zero points of the rows, for the columns from run `at` on.
void beginScales(uint at) {
  scale = vec4(1.0);
  zero = vec4(0.0);
  is_scaled = bvec4(true);
#ifdef NIB_FORMAT
  uint group = hasOneScale() ? 0u : groupOf(at * uint(NIB_RUN));
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
#if NIB_RUN_PARTS == 2
    run[r].second = nibLoadPart(row_scales[r] + group + 1u);
#endif
#if defined(NIB_MINIMUM) || NIB_RUN_PARTS == 2
    run[r].part = nibLoadPart(row_scales[r] + group);
#else
    bool loaded = SCALE_TYPE == NIB_NESTED || SCALE_TYPE == NIB_BYTE;
    uint bits = loaded ? nibLoadScale(push.scales_word + push.head.delta1, row_scales[r] + group)
                       : nibStoredScale(scales_start[r] + group);
    is_scaled[r] = loaded ? bits != 0u : nibIsRuled(bits, kNibSignedScales);
    run[r].part = nibMakePart(bits, nibLoadZero(push.zeros_word + push.head.delta1, row_scales[r] + group));
#endif
    scale[r] = run[r].part.scale;
#ifdef NIB_PART_HAS_ZERO
    zero[r] = nibPartZero(run[r].part) - (NIB_COUNTS_FROM_ZERO ? 128.0 : 0.0);
#endif
  }
#endif
}

// Adds what has been summed since beginScales.
void endScales() {
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    if (takesZeroOnce()) {
      part[t] -= zero * input_sum[t];
      input_sum[t] = 0.0;
    }
    total[t] += mix(vec4(0.0), scale * part[t], is_scaled);
    part[t] = vec4(0.0);
  }
}

void loadRuns(uint at) {
#ifdef NIB_FORMAT
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) nibLoadRunAt(run[r], codes_start[r], at);
#endif
}

// Adds the products of runs [first_run, first_run + UNIT).
void addUnit(uint first_run, uint end_run) {
  if (!hasOneScale()) beginScales(first_run);
  if (WHOLE && UNIT <= 2u) {
    beginInput(first_run);
    // Without a loop, and the codes of both runs in one load where they are neighbours.
    bool both = UNIT == 2u;
#if defined(NIB_FORMAT) && NIB_RUN_WORD_COUNT == 2
    if (both) {
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) nibLoadTwoRunsAt(run[r], next_run[r], codes_start[r], first_run);
      MULTIPLY_RUN(run, first_run, 0u)
      MULTIPLY_RUN(next_run, first_run + 1u, uint(NIB_QUADS))
      both = false;
    } else
#endif
    {
      loadRuns(first_run);
      MULTIPLY_RUN(run, first_run, 0u)
    }
    if (both) {
      loadRuns(first_run + 1u);
      MULTIPLY_RUN(run, first_run + 1u, uint(NIB_QUADS))
    }
  } else {
    uint end = min(first_run + UNIT, end_run);
    for (uint at = first_run; at < end; ++at) {
      loadRuns(at);
      beginInput(at);
      MULTIPLY_RUN(run, at, 0u)
    }
  }
  if (!hasOneScale()) endScales();
}

#ifdef NIB_FORMAT
// The same with one scale per column: no work is shared by more than four columns.
void addColumns(uint first_run, uint end_run, uint row, uint last_row) {
  uint end = min(min(first_run + UNIT, end_run) * uint(NIB_RUN), push.cols);
  beginInput(first_run);
  for (uint col = first_run * uint(NIB_RUN); col < end; col += 4u) {
    NibDecoder decoder = nibColumnDecoder(col);
    mat4 w;
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      w[r] = uintBitsToFloat(nibDecode4(nibUnpack4(nibLoadQuadCodes(min(row + r, last_row), col)), decoder));
    }
    multiply(w, col, (col >> 2) - first_run * uint(NIB_QUADS));
  }
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    total[t] += part[t];
    part[t] = vec4(0.0);
    input_sum[t] = 0.0;
  }
}
#endif

// Whether rows of a block of a matrix lie in the window of weights.
bool meetsWindow(uint matrix, uint row_block) {
  uint first = matrix * push.matrix_rows + row_block * TEAMS * ROWS;
  return first < push.window_row + push.window_rows && first + TEAMS * ROWS > push.window_row;
}

// Writes the rows from `row` on that lie in the window. base: the matrix's first row.
void storeChoice(vec4 sums, vec4 bias, uint number, uint base, uint row) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    uint at = base + row + r;
    if (row + r >= push.matrix_rows || at < push.window_row || at - push.window_row >= push.window_rows) continue;
    nibStoreProducts(vec2(sums[r], 0.0), vec2(bias[r], 0.0), number * push.result_stride, row + r, row + r + 1u,
                     push.head.delta2);
  }
}

void main() {
#ifdef NIB_PART_VALUES
  nibFillValues();
#endif
  reciprocal = GROUP == NIB_GROUP_MULTIPLY ? 0xffffffffu / push.group + 1u : 0u;
  uint number = push.head.tile_first + gl_WorkGroupID.x;
  uint split = 0u;
  if (SPLIT) {
    split = number % push.splits;
    number /= push.splits;
  }
  NibProductTile tile = nibProductTile(number, TOKENS);
  uint matrix = tile.matrix;
  uint tokens = push.head.rows;
  uint record = push.head.delta3;
  if (CHOICES != 0u) {
    uint block = number / push.row_blocks, parts = max(CHOICES / TOKENS, 1u);
    uint group = block / parts;
    tile.row_block = number - block * push.row_blocks;
    tile.first_token = (block - group * parts) * TOKENS;
    record += group * (2u + CHOICES);
    matrix = records[record];
    tokens = records[record + 1u];
    if (tile.first_token >= tokens || !meetsWindow(matrix, tile.row_block)) return;
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
      uint start = (group * CHOICES + min(tile.first_token + t, tokens - 1u)) * push.input_stride;
      input_start[t] = nibInputStart(start, push.input_word + push.head.delta3);
    }
  }
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint first_unit = SPLIT ? split * push.units_per_split : 0u;
  uint end_unit = (runs + UNIT - 1u) / UNIT;
  if (SPLIT) end_unit = min(end_unit, first_unit + push.units_per_split);
  if (CHOICES == 0u) [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    uint start = (matrix * push.tokens + min(tile.first_token + t, tokens - 1u)) * push.input_stride;
    input_start[t] = nibInputStart(start, push.input_word + push.head.delta3);
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
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
      total[t] = part[t] = vec4(0.0);
      input_sum[t] = 0.0;
    }
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      uint mine = min(first_row + r, last_row);
      if (CHOICES != 0u) mine = clamp(mine, push.window_row, push.window_row + push.window_rows - 1u);
      codes_start[r] = nibRowStart(mine);
      row_scales[r] = mine * push.scale_row_stride;
      scales_start[r] = nibScaleStart(push.scales_word + push.head.delta1) + row_scales[r];
#ifndef NIB_FORMAT
      run[r] = nibBeginRun(mine, 0u);
#endif
    }
    if (hasOneScale()) beginScales(0u);
    for (uint unit = first_unit + lane; unit < end_unit; unit += lanes) {
#ifdef NIB_FORMAT
      if (COLUMN) {
        addColumns(unit * UNIT, runs, first_row, last_row);
        continue;
      }
#endif
      addUnit(unit * UNIT, runs);
    }
    if (hasOneScale()) endScales();
    vec4 bias = nibBiasOf(min(first_row + uvec4(0u, 1u, 2u, 3u), uvec4(last_row)));
    uint start = (SPLIT ? split * push.batch + matrix : matrix) * push.tokens;
    uint stride = SPLIT ? push.matrix_rows : push.result_stride;
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
      vec4 sums = vec4(nibTeamSum(total[t].x), nibTeamSum(total[t].y), 0.0, 0.0);
      if (ROWS > 2u) sums.zw = vec2(nibTeamSum(total[t].z), nibTeamSum(total[t].w));
      uint token = tile.first_token + t;
      if (lane != t % lanes || token >= tokens) continue;
      if (CHOICES != 0u) {
        storeChoice(sums, bias, records[record + 2u + token], matrix * push.matrix_rows, row);
        continue;
      }
      [[unroll]] for (uint r = 0u; r < ROWS; r += 2u) {
        nibStoreProducts(r == 0u ? sums.xy : sums.zw, r == 0u ? bias.xy : bias.zw, (start + token) * stride, row + r,
                         push.matrix_rows, push.head.delta2);
      }
    }
  }
}
