#version 450
// Weights times many fp16 activations by cooperative matrices, with fp32 sums. A workgroup makes SGM * FM * CM rows of
// SGN * FN * CN tokens. Every step decodes BK columns of weights to fp16 and copies the same columns of activations to
// shared memory, eight columns of a row at a time; each subgroup multiplies FM x FN matrices. Whole tiles without bias,
// activation or residual go straight from matrices to memory. Other sums go through shared memory, and an invocation
// finishes two neighbouring rows of a token at a time. Reads a weights code (NIB_BITS bits, or a dense element) once
// per SGN * FN * CN tokens and an activation (2 bytes) once per SGM * FM * CM rows, writes every result (2 or 4 bytes)
// once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "ops/matmul_half.h"
MATMUL_HALF_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ProductPush push; };

#include "products/float_product.glsl"
#include "memory/weight_run.glsl"
#include "memory/weight_quad.glsl"
#include "memory/weight_eight.glsl"
#include "memory/weight_eight_halves.glsl"

layout(set = 0, binding = 2, std430) writeonly buffer Sums { float result_floats[]; };
layout(set = 0, binding = 3, std430) readonly buffer Input2 { uvec2 input2[]; };
layout(set = 0, binding = 3, std430) readonly buffer Input4 { uvec4 input4[]; };

const uint BM = SGM * FM * CM;
const uint BN = SGN * FN * CN;
const uint PITCH = BK + 8u;  // rows begin in different banks and at multiples of 16 bytes
shared f16vec4 weights[BM * PITCH / 4u];
shared f16vec4 activations[BN * PITCH / 4u];
// The sums of one matrix of each subgroup.
shared float sums[SGM * SGN * CM * CN];

// A lane stages the same eight columns of every LINES-th row, and of every LINES-th token. The tile of a lane beyond BM
// or BN has none for it.
const uint EIGHTS = BK / 8u;
const uint LINES = WG / EIGHTS;
const uint ROWS = (BM + LINES - 1u) / LINES;
const uint TOKENS = (BN + LINES - 1u) / LINES;

#define LEFT coopmat<float16_t, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA>
#define RIGHT coopmat<float16_t, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB>
#define SUM coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>

struct Lane {
  uint line, eight;
  NibEightRow row[ROWS];
  uint token[TOKENS];  // first four of the lane's columns
};

void putWeights(uint line, uint eight, NibEightHalves w) {
  if (BM % LINES != 0u && line >= BM) return;
  uint at = (line * PITCH + eight * 8u) / 4u;
  weights[at] = w.first;
  weights[at + 1u] = w.last;
}

void putActivations(uint line, uint eight, NibEightHalves x) {
  if (BN % LINES != 0u && line >= BN) return;
  uint at = (line * PITCH + eight * 8u) / 4u;
  activations[at] = x.first;
  activations[at + 1u] = x.last;
}

// Columns step..step + BK - 1, all below push.cols.
void stage(Lane lane, uint step) {
  uint group = nibEightGroup(step, lane.eight);
  [[unroll]] for (uint i = 0u; i < ROWS; ++i) {
    putWeights(lane.line + i * LINES, lane.eight, nibWeightHalves(lane.row[i], step, lane.eight, group));
  }
  [[unroll]] for (uint i = 0u; i < TOKENS; ++i) {
    uint at = lane.token[i] + step / 4u;
    uvec4 words = WIDE ? input4[at >> 1] : uvec4(input2[at], input2[at + 1u]);
    putActivations(lane.line + i * LINES, lane.eight, nibHalvesOf(words));
  }
}

// The same with zeros from push.cols on.
void stageLast(Lane lane, uint step, uint first_row, uint row_base) {
  uint col = step + lane.eight * 8u;
  for (uint i = 0u; i < BM; i += LINES) {
    uint row = row_base + min(first_row + lane.line + i, push.matrix_rows - 1u);
    putWeights(lane.line + i, lane.eight, nibHalvesOf(nibAnyEight(row, col)));
  }
  [[unroll]] for (uint i = 0u; i < TOKENS; ++i) {
    uint at = lane.token[i] + step / 4u;
    uvec4 words = uvec4(0u);
    if (col < push.cols) words.xy = input2[at];
    if (col + 4u < push.cols) words.zw = input2[at + 1u];
    putActivations(lane.line + i * LINES, lane.eight, nibHalvesOf(words));
  }
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, BN);
  uint tokens = push.head.rows;
  uint first_row = tile.row_block * BM;
  uint row_base = tile.matrix * push.matrix_rows;
  uint token_base = tile.matrix * push.tokens;
  uint my_m = gl_SubgroupID % SGM * FM;
  uint my_n = gl_SubgroupID / SGM * FN;

  Lane lane;
  lane.line = gl_LocalInvocationIndex / EIGHTS;
  lane.eight = gl_LocalInvocationIndex % EIGHTS;
  [[unroll]] for (uint i = 0u; i < ROWS; ++i) {
    lane.row[i] = nibEightRow(row_base + min(first_row + lane.line + i * LINES, push.matrix_rows - 1u), lane.eight);
  }
  [[unroll]] for (uint i = 0u; i < TOKENS; ++i) {
    uint token = token_base + min(tile.first_token + lane.line + i * LINES, tokens - 1u);
    lane.token[i] = (token * push.input_stride >> 2) + (push.input_word + push.head.delta3 >> 1) + lane.eight * 2u;
  }
#ifdef NIB_VALUE_TABLE
  nibFillValues();
#endif

  SUM sum[FM * FN];
  [[unroll]] for (uint i = 0u; i < FM * FN; ++i) sum[i] = SUM(0.0);

  for (uint step = 0u; step < push.cols; step += BK) {
    barrier();  // readers of the step before are done
    if (WHOLE || step + BK <= push.cols) {
      stage(lane, step);
    } else {
      stageLast(lane, step, first_row, row_base);
    }
    barrier();
    [[unroll]] for (uint c = 0u; c < BK; c += CK) {
      LEFT w[FM];
      [[unroll]] for (uint m = 0u; m < FM; ++m) {
        coopMatLoad(w[m], weights, ((my_m + m) * CM * PITCH + c) / 4u, PITCH / 4u, gl_CooperativeMatrixLayoutRowMajor);
      }
      [[unroll]] for (uint n = 0u; n < FN; ++n) {
        RIGHT x;
        coopMatLoad(x, activations, ((my_n + n) * CN * PITCH + c) / 4u, PITCH / 4u,
                    gl_CooperativeMatrixLayoutColumnMajor);
        [[unroll]] for (uint m = 0u; m < FM; ++m) sum[m * FN + n] = coopMatMulAdd(w[m], x, sum[m * FN + n]);
      }
    }
  }

  uint own_row = first_row + my_m * CM;
  uint own_token = tile.first_token + my_n * CN;
#ifndef NIB_FAULT
  // Matrices are stored at multiples of 16 bytes.
  bool whole = first_row + BM <= push.matrix_rows && tile.first_token + BN <= tokens && push.result_stride % 4u == 0u;
  if (RESULT_TYPE == NIB_F32 && !BIAS && !RESIDUAL && ACTIVATION == 0u && whole) {
    uint at = (token_base + own_token) * push.result_stride + own_row + push.head.delta2;
    [[unroll]] for (uint m = 0u; m < FM; ++m) {
      [[unroll]] for (uint n = 0u; n < FN; ++n) {
        coopMatStore(sum[m * FN + n], result_floats, at + n * CN * push.result_stride + m * CM, push.result_stride,
                     gl_CooperativeMatrixLayoutColumnMajor);
      }
    }
    return;
  }
#endif
  // One matrix at a time through shared memory: the mapping of its elements to invocations is up to the device.
  uint patch_start = gl_SubgroupID * CM * CN;
  [[unroll]] for (uint m = 0u; m < FM; ++m) {
    [[unroll]] for (uint n = 0u; n < FN; ++n) {
      subgroupMemoryBarrierShared();
      subgroupBarrier();
      coopMatStore(sum[m * FN + n], sums, patch_start, CM, gl_CooperativeMatrixLayoutColumnMajor);
      subgroupMemoryBarrierShared();
      subgroupBarrier();
      for (uint i = gl_SubgroupInvocationID; i < CM / 2u * CN; i += SG) {
        uint pair = i % (CM / 2u);
        uint token = own_token + n * CN + i / (CM / 2u);
        uint row = own_row + m * CM + 2u * pair;
        if (token >= tokens || row >= push.matrix_rows) continue;
        uint at = patch_start + i / (CM / 2u) * CM + 2u * pair;
        vec2 bias = vec2(0.0);
        if (BIAS) {
          uint from = push.bias_word + push.head.delta1 + row_base;
          bias = uintBitsToFloat(uvec2(params[from + row], params[from + min(row + 1u, push.matrix_rows - 1u)]));
        }
        nibStoreProducts(vec2(sums[at], sums[at + 1u]), bias, (token_base + token) * push.result_stride, row,
                         push.matrix_rows, push.head.delta2);
      }
    }
  }
}
