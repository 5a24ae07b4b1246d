// How an int8 product is cut into workgroups, by the device's limits and kind and the problem's sides alone: pure, tested
// without a GPU.
#ifndef NIB_OPS_INT8_TUNING_H
#define NIB_OPS_INT8_TUNING_H

#include "ops/tuning.h"

namespace nib {

enum class Int8Kernel : uint32_t {
  kRegisters,  // int8_gemm
  kTiles,      // int8_gemm_tiles
  kMatrices    // int8_gemm_matrices
};

struct Int8Sides {
  uint32_t rows, tokens, cols;
  uint32_t piece;  // columns between changes of scale; cols = none
};

struct Int8Tiling {
  Int8Kernel kernel;
  uint32_t workgroup;
  uint32_t tokens;        // per invocation
  uint32_t lanes;         // int8_gemm: invocations that share columns
  uint32_t depth;         // int8_gemm_tiles: fours of words that a step stages
  uint32_t tile_rows;     // output channels of a workgroup
  uint32_t tile_tokens;
  uint32_t shared_bytes;
};

inline uint32_t int8TokensEach(uint32_t tokens, uint32_t most) {
  uint32_t each = 1;
  while (each < tokens && each < most) each *= 2;
  return each;
}

// Steps end where pieces do.
inline uint32_t int8Depth(const Int8Sides& sides) {
  return sides.piece == sides.cols || sides.piece % 64u == 0 ? 4u : sides.piece % 32u == 0 ? 2u : 1u;
}

// Without matrices. max_invocations: at least 128.
inline Int8Tiling chooseInt8Tiling(uint32_t device_type, uint32_t max_invocations, const Int8Sides& sides) {
  constexpr uint32_t kFewTokens = 8;  // as many as an invocation of int8_gemm takes
  constexpr uint32_t kRowsEach = 4;
  Int8Tiling t{};
  t.kernel = Int8Kernel::kRegisters;
  t.workgroup = max_invocations < 128 ? max_invocations : 128;
  t.lanes = 1;
  if (isCpu(device_type) || sides.tokens <= kFewTokens || t.workgroup < 128) {
    t.tokens = int8TokensEach(sides.tokens, kFewTokens);
    if (isCpu(device_type)) {
      // A few vectors of invocations: enough workgroups for every thread of any CPU.
      t.workgroup = 32;
    } else if (sides.tokens <= kFewTokens) {
      // Neighbouring lanes read neighbouring memory, and one row of weights keeps many of them busy.
      t.lanes = 32;
    }
    t.tile_rows = t.workgroup / t.lanes * kRowsEach;
    t.tile_tokens = t.tokens;
    t.shared_bytes = t.lanes > 1 ? t.workgroup * t.tokens * 16u : 16u;
    return t;
  }
  // 16 x 8 invocations, each with four rows and `tokens` tokens.
  t.kernel = Int8Kernel::kTiles;
  t.tokens = int8TokensEach((sides.tokens + 7u) / 8u, 8);
  t.tile_rows = 16 * kRowsEach;
  t.tile_tokens = 8 * t.tokens;
  t.depth = int8Depth(sides);
  t.shared_bytes = (t.tile_rows + t.tile_tokens) * t.depth * 16u;
  return t;
}

// A choice that was measured in the place of `t`, where it fits: 0 = registers, 1 = tiles; tokens each; lanes.
inline bool tuneInt8(const uint32_t* value, uint32_t max_invocations, const Int8Sides& sides, Int8Tiling* t) {
  constexpr uint32_t kRowsEach = 4;
  const uint32_t tokens = value[1], lanes = value[2];
  const auto power = [](uint32_t v) { return v != 0 && (v & (v - 1)) == 0; };
  if (!power(tokens) || tokens > 8) return false;
  Int8Tiling tuned{};
  tuned.tokens = tokens;
  if (value[0] == 1) {
    if (max_invocations < 128) return false;
    tuned.kernel = Int8Kernel::kTiles;
    tuned.workgroup = 128;
    tuned.lanes = 1;
    tuned.tile_rows = 16 * kRowsEach;
    tuned.tile_tokens = 8 * tokens;
    tuned.depth = int8Depth(sides);
    tuned.shared_bytes = (tuned.tile_rows + tuned.tile_tokens) * tuned.depth * 16u;
  } else {
    // One of the lanes finishes each token.
    const uint32_t workgroup = lanes > 1 ? (max_invocations < 128 ? max_invocations : 128) : t->workgroup;
    if (value[0] != 0 || !power(lanes) || lanes > workgroup || (lanes > 1 && lanes < tokens)) return false;
    tuned.kernel = Int8Kernel::kRegisters;
    tuned.workgroup = workgroup;
    tuned.lanes = lanes;
    tuned.tile_rows = workgroup / lanes * kRowsEach;
    tuned.tile_tokens = tokens;
    tuned.shared_bytes = lanes > 1 ? workgroup * tokens * 16u : 16u;
  }
  *t = tuned;
  return true;
}

// A shape of cooperative matrices with signed bytes and 32-bit sums: m tokens, n channels, k columns.
struct Int8Matrix {
  uint32_t m, n, k;
};

struct Int8MatrixTiling {
  Int8Tiling tiling;
  Int8Matrix shape;
  uint32_t span_m, span_n;  // matrices of a subgroup
  uint32_t depth;           // of a step, along columns
};

// With four subgroups, 64 channels and up to 64 tokens, or false: few tokens leave most of a matrix empty, scales of groups
// have to be applied to every group's sums, and odd shapes do not divide a tile.
inline bool chooseInt8Matrices(uint32_t subgroup_size, const Int8Matrix& shape, const Int8Sides& sides, Int8MatrixTiling* out) {
  constexpr uint32_t kFewTokens = 8, kHalfTile = 32, kStep = 64, kPitch = kStep + 16;
  if (sides.tokens <= kFewTokens || sides.piece != sides.cols) return false;
  if (shape.m == 0 || shape.n == 0 || shape.k == 0) return false;
  if (kHalfTile % shape.m != 0 || kHalfTile % shape.n != 0 || kStep % shape.k != 0) return false;
  if (shape.n % 4 != 0 || shape.k % 4 != 0 || subgroup_size == 0) return false;
  Int8MatrixTiling t{};
  t.shape = shape;
  t.span_m = sides.tokens <= 2 * shape.m ? 1 : kHalfTile / shape.m;
  t.span_n = kHalfTile / shape.n;
  t.depth = kStep / shape.k;
  t.tiling.kernel = Int8Kernel::kMatrices;
  t.tiling.workgroup = 4 * subgroup_size;
  t.tiling.tile_tokens = 2 * t.span_m * shape.m;
  t.tiling.tile_rows = 2 * t.span_n * shape.n;
  const uint32_t sides_of = t.tiling.tile_tokens + t.tiling.tile_rows;
  t.tiling.shared_bytes = sides_of * kPitch + 4 * shape.m * shape.n * 4 + sides_of * 4;
  *out = t;
  return true;
}

}  // namespace nib
#endif
