#version 450
// The block on the diagonal that ends at the run's last column: A = M M^T and V = inverse(M), or with INVERT
// V = inverse(M) of an M that is there, all upper triangular. One workgroup, which is that of the block's tile; other
// tiles end at once. Reads and writes the block's triangle (4 bytes an element) once, and writes V to scratch for
// factor_product: transposed after a factorization, as it is after an inversion.
//
// One triangle in shared memory is enough. Columns are done from the last to the first, k: column k of A becomes that
// of M, which goes to the result and is dropped here, and row k of V is finished. Both are y: M above k, 1 / M[k][k], V
// after k. Then y[i] * y[c] is subtracted from all elements (i, c) with i < k: A before column k, V from k on.
#extension GL_GOOGLE_include_directive : require
#include "ops/factor_block.h"
#include "ops/factor_mean.h"
FACTOR_BLOCK_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { FactorBlockPush push; };

#include "common/fault.glsl"
layout(set = 0, binding = 0, std430) buffer Info { uint info[]; };
layout(set = 0, binding = 2, std430) buffer Result { float result[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Scratch { float scratch[]; };

shared float x[BLOCK * (BLOCK + 1u) / 2u];
shared float y[BLOCK];

uint at(uint i, uint c) { return i * (2u * BLOCK - i - 1u) / 2u + c; }

void main() {
  uint first = (push.head.rows - 1u) / BLOCK * BLOCK;
  if ((push.head.tile_first + gl_WorkGroupID.x) * BLOCK != first) return;
  uint size = push.head.rows - first;
  uint lane = gl_LocalInvocationIndex;
  uint corner = push.result_word + first * push.cols + first + push.head.delta2;
  for (uint i = lane; i < BLOCK * BLOCK; i += WG) {
    uint row = i / BLOCK, col = i % BLOCK;
    if (row <= col && col < size) x[at(row, col)] = result[corner + row * push.cols + col];
  }
  uint failed = 0u;
  for (uint k = size; k-- > 0u;) {
    barrier();
    float pivot = x[at(k, k)];
    if (!INVERT) {
      bool positive = floatBitsToUint(pivot) - 0x00800000u < 0x7f000000u;
      if (!positive && failed == 0u) failed = first + k + 1u;
      pivot = positive ? sqrt(pivot) : 1.0;
      if (lane == 0u) result[corner + k * push.cols + k] = pivot;
    }
    for (uint t = lane; t < size; t += WG) {
      float value = t == k ? 1.0 : t < k ? x[at(t, k)] : x[at(k, t)];
      if (!INVERT || t >= k) value = value / pivot;
      if (!INVERT && t < k) result[corner + t * push.cols + k] = value;
      y[t] = value;
    }
    barrier();
    for (uint i = lane; i < (k + 1u) * BLOCK; i += WG) {
      uint row = i / BLOCK, col = i % BLOCK;
      if (col < row || col >= size || (INVERT && col < k)) continue;
      if (row == k) {
        x[at(row, col)] = y[col];
      } else {
        float before = col == k ? 0.0 : x[at(row, col)];
        x[at(row, col)] = before - y[row] * y[col];
      }
    }
  }
  barrier();
  for (uint i = lane; i < BLOCK * BLOCK; i += WG) {
    uint row = i / BLOCK, col = i % BLOCK;
    float v = row <= col && col < size ? x[at(row, col)] : 0.0;
    if (kFault != 0u && row == col) v = -v - 1.0;
    if (INVERT && row <= col && col < size) result[corner + row * push.cols + col] = v;
    scratch[push.inverse_word + (INVERT ? i : col * BLOCK + row) + push.head.delta3] = v;
  }
  if (kFault != 0u && !INVERT && lane == 0u) result[corner] = -1.0 - result[corner];
  uint word = push.info_word + NIB_INFO_FAILED + push.head.delta0;
  if (lane == 0u && failed != 0u && info[word] == 0u) info[word] = failed;
}
