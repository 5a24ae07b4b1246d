// How an int8 product is cut into workgroups, by the device's limits and kind and the problem's sides alone: pure, tested
// without a GPU.
#ifndef NIB_OPS_INT8_TUNING_H
#define NIB_OPS_INT8_TUNING_H

#include "ops/tuning.h"

namespace nib {

enum class Int8Kernel : uint32_t {
  kRegisters,  // int8_gemm
  kRows,       // int8_gemm_rows
  kTiles,      // int8_gemm_tiles
  kMatrices    // int8_gemm_matrices
};

struct Int8Sides {
  uint32_t rows, tokens, cols;
  uint32_t piece;      // columns between changes of scale; cols = none
  uint32_t batch = 1;  // matrices
};

struct Int8Device {
  uint32_t type;           // VkPhysicalDeviceType
  uint32_t workgroup;      // invocations, at least 128
  uint32_t subgroup_size;  // 0 = it has not the kernel int8_gemm_rows
};

struct Int8Tiling {
  Int8Kernel kernel;
  uint32_t workgroup;
  uint32_t tokens;        // per invocation
  uint32_t lanes;         // int8_gemm: invocations that share columns
  uint32_t depth;         // int8_gemm_tiles: fours of words that a step stages
  uint32_t turn;          // int8_gemm_rows: words of a token that a subgroup loads at once
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

inline constexpr uint32_t kInt8RowsEach = 4;    // of an invocation
inline constexpr uint32_t kInt8TokensEach = 8;  // at most
inline constexpr uint32_t kInt8RowsWorkgroup = 32;  // of int8_gemm_rows

inline Int8Tiling int8Registers(uint32_t workgroup, uint32_t tokens, uint32_t lanes) {
  Int8Tiling t{};
  t.kernel = Int8Kernel::kRegisters;
  t.workgroup = workgroup;
  t.tokens = tokens;
  t.lanes = lanes;
  t.tile_rows = workgroup / lanes * kInt8RowsEach;
  t.tile_tokens = tokens;
  t.shared_bytes = lanes > 1 ? workgroup * tokens * 16u : 16u;
  return t;
}

// Whole rows to an invocation: a subgroup must have a lane for every word of a turn.
inline bool fitsInt8Rows(const Int8Device& device) { return isCpu(device.type) && device.subgroup_size >= 4; }

inline Int8Tiling int8Rows(uint32_t tokens, const Int8Sides& sides, const Int8Device& device) {
  Int8Tiling t = int8Registers(kInt8RowsWorkgroup, tokens, 1);
  t.kernel = Int8Kernel::kRows;
  t.shared_bytes = 0;
  t.turn = device.subgroup_size >= 8 && sides.cols % 32u == 0 && sides.piece % 32u == 0 ? 8 : 4;
  return t;
}

// 16 x 8 invocations, each with four rows and `tokens` tokens.
inline Int8Tiling int8Tiles(uint32_t tokens, const Int8Sides& sides) {
  Int8Tiling t{};
  t.kernel = Int8Kernel::kTiles;
  t.workgroup = 128;
  t.tokens = tokens;
  t.lanes = 1;
  t.tile_rows = 16 * kInt8RowsEach;
  t.tile_tokens = 8 * tokens;
  t.depth = int8Depth(sides);
  t.shared_bytes = (t.tile_rows + t.tile_tokens) * t.depth * 16u;
  return t;
}

// Without matrices.
inline Int8Tiling chooseInt8Tiling(const Int8Device& device, const Int8Sides& sides) {
  const uint32_t workgroup = device.workgroup < 128 ? device.workgroup : 128;
  const uint32_t tokens = int8TokensEach(sides.tokens, kInt8TokensEach);
  // A few vectors of invocations: enough workgroups for every thread of any CPU.
  if (fitsInt8Rows(device) && avoidsExchange(device.type, uint64_t(sides.rows) * sides.batch / kInt8RowsEach)) {
    return int8Rows(tokens, sides, device);
  }
  if (isCpu(device.type)) return int8Registers(32, tokens, 1);
  // Neighbouring lanes read neighbouring memory, and one row of weights keeps many of them busy.
  if (sides.tokens <= kInt8TokensEach) return int8Registers(workgroup, tokens, 32);
  if (workgroup < 128) return int8Registers(workgroup, tokens, 1);
  return int8Tiles(int8TokensEach((sides.tokens + 7u) / 8u, kInt8TokensEach), sides);
}

// A choice that was measured in the place of `t`, where it fits: 0 = registers, 1 = tiles, 2 = rows; tokens each; lanes.
inline bool tuneInt8(const uint32_t* value, const Int8Device& device, const Int8Sides& sides, Int8Tiling* t) {
  const uint32_t tokens = value[1], lanes = value[2], max_invocations = device.workgroup;
  if (!isPowerOfTwo(tokens) || tokens > kInt8TokensEach) return false;
  if (value[0] == 1) {
    if (max_invocations < 128) return false;
    *t = int8Tiles(tokens, sides);
    return true;
  }
  if (value[0] == 2) {
    if (!fitsInt8Rows(device)) return false;
    *t = int8Rows(tokens, sides, device);
    return true;
  }
  // One of the lanes finishes each token.
  const uint32_t workgroup = lanes == 1 ? t->workgroup : max_invocations < 128 ? max_invocations : 128;
  if (value[0] != 0 || !isPowerOfTwo(lanes) || lanes > workgroup || (lanes > 1 && lanes < tokens)) return false;
  *t = int8Registers(workgroup, tokens, lanes);
  return true;
}

// Of tokens that a workgroup makes codes of itself, `runs` runs of 16 each: beside what the tiling takes, with what finding
// their scales does.
inline uint64_t stagedShared(const Int8Tiling& t, uint32_t runs) {
  return t.shared_bytes + t.tokens * (uint64_t(runs) * 16u + 8u) + t.workgroup * 12u;
}

// Whether a workgroup should: all tokens are its own, and it reads at most half as much for their sake as it does of weights.
// A row is what it has of either, in bytes. A CPU runs two dispatches as fast as one, and pays for codes made twice.
inline bool prefersStaged(uint32_t device_type, const Int8Tiling& t, uint32_t tokens, uint64_t weights_row, uint64_t token_row) {
  return !isCpu(device_type) && t.kernel == Int8Kernel::kRegisters && tokens <= t.tile_tokens &&
         2u * tokens * token_row <= t.tile_rows * weights_row;
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
