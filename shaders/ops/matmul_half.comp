#version 450
// Weights times many fp16 activations by cooperative matrices, with fp32 sums. A workgroup makes SGM * FM * CM rows of
// SGN * FN * CN tokens. Every step decodes 32 columns of weights to fp16 and copies the same columns of activations to
// shared memory, row by row; each subgroup multiplies FM x FN matrices. At the end the sums go through shared memory,
// and an invocation finishes two neighbouring rows of a token at a time. Reads a weights code (NIB_BITS bits, or a
// dense element) once per SGN * FN * CN tokens and an activation (2 bytes) once per SGM * FM * CM rows, writes every
// result (2 or 4 bytes) once.
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

layout(set = 0, binding = 3, std430) readonly buffer Input2 { uvec2 input2[]; };

const uint BM = SGM * FM * CM;
const uint BN = SGN * FN * CN;
const uint BK = 32u;        // columns of a step
const uint PITCH = BK + 8u;  // rows begin in different banks and at multiples of 16 bytes
shared f16vec4 weights[BM * PITCH / 4u];
shared f16vec4 activations[BN * PITCH / 4u];
// The sums of one matrix of each subgroup.
shared float sums[SGM * SGN * CM * CN];

#define LEFT coopmat<float16_t, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA>
#define RIGHT coopmat<float16_t, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB>
#define SUM coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, BN);
  uint tokens = push.head.rows;
  uint first_row = tile.row_block * BM;
  uint row_base = tile.matrix * push.matrix_rows;
  uint token_base = tile.matrix * push.tokens;
  uint lane = gl_LocalInvocationIndex;
  uint my_m = gl_SubgroupID % SGM * FM;
  uint my_n = gl_SubgroupID / SGM * FN;

  SUM sum[FM * FN];
  [[unroll]] for (uint i = 0u; i < FM * FN; ++i) sum[i] = SUM(0.0);

  for (uint col = 0u; col < push.cols; col += BK) {
    barrier();  // readers of the step before are done
    for (uint i = lane; i < BM * BK / 4u; i += WG) {
      uint r = i / (BK / 4u);
      uint q = i - r * (BK / 4u);
      uint at = col + 4u * q;
      vec4 w = at < push.cols ? nibWeightQuad(row_base + min(first_row + r, push.matrix_rows - 1u), at) : vec4(0.0);
      weights[r * (PITCH / 4u) + q] = f16vec4(w);
    }
    for (uint i = lane; i < BN * BK / 4u; i += WG) {
      uint t = i / (BK / 4u);
      uint q = i - t * (BK / 4u);
      uint at = col + 4u * q;
      uint start = (token_base + min(tile.first_token + t, tokens - 1u)) * push.input_stride;
      uvec2 words = at < push.cols ? input2[((start + at) >> 2) + ((push.input_word + push.head.delta3) >> 1)]
                                   : uvec2(0u);
      activations[t * (PITCH / 4u) + q] = f16vec4(unpackFloat2x16(words.x), unpackFloat2x16(words.y));
    }
    barrier();
    for (uint c = 0u; c < BK; c += CK) {
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

  // One matrix at a time through shared memory: the mapping of its elements to invocations is up to the device.
  uint patch_start = gl_SubgroupID * CM * CN;
  [[unroll]] for (uint m = 0u; m < FM; ++m) {
    [[unroll]] for (uint n = 0u; n < FN; ++n) {
      barrier();
      coopMatStore(sum[m * FN + n], sums, patch_start, CM, gl_CooperativeMatrixLayoutColumnMajor);
      barrier();
      for (uint i = gl_SubgroupInvocationID; i < CM / 2u * CN; i += gl_SubgroupSize) {
        uint pair = i % (CM / 2u);
        uint token = tile.first_token + (my_n + n) * CN + i / (CM / 2u);
        uint row = first_row + (my_m + m) * CM + 2u * pair;
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
