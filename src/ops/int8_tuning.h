// How an int8 product is divided into workgroups, from the device's limits and type and the problem's sides alone: pure
// functions, tested without a GPU.
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
  uint32_t segment;    // columns that share scales; cols = all of them
  uint32_t batch = 1;  // matrices
};

struct Int8Device {
  uint32_t type;           // VkPhysicalDeviceType
  uint32_t workgroup;      // invocations, at least 128
  uint32_t subgroup_size;  // 0 = the device lacks the kernel int8_gemm_rows
};

struct Int8Tiling {
  Int8Kernel kernel;
  uint32_t workgroup;
  uint32_t tokens;      // per invocation
  uint32_t lanes;       // int8_gemm: invocations that divide the columns among them
  uint32_t depth;       // int8_gemm_tiles: units of four words that a step loads into shared memory
  uint32_t load_words;  // int8_gemm_rows: words of a token that a subgroup loads at once
  uint32_t tile_rows;   // output channels of a workgroup
  uint32_t tile_tokens;
  uint32_t shared_bytes;
};

inline uint32_t int8TokensEach(uint32_t tokens, uint32_t max_tokens) {
  uint32_t each = 1;
  while (each < tokens && each < max_tokens) each *= 2;
  return each;
}

// The depth with which a step never crosses the end of a segment.
inline uint32_t int8Depth(const Int8Sides& sides) {
  return sides.segment == sides.cols || sides.segment % 64u == 0 ? 4u : sides.segment % 32u == 0 ? 2u : 1u;
}

inline constexpr uint32_t kInt8RowsEach = 4;        // rows per invocation
inline constexpr uint32_t kInt8TokensEach = 8;      // tokens per invocation, at most
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

// Whether the kernel that gives whole rows to an invocation fits: a subgroup must have a lane for every word of a load.
inline bool fitsInt8Rows(const Int8Device& device) { return isCpu(device.type) && device.subgroup_size >= 4; }

inline Int8Tiling int8Rows(uint32_t tokens, const Int8Sides& sides, const Int8Device& device) {
  Int8Tiling t = int8Registers(kInt8RowsWorkgroup, tokens, 1);
  t.kernel = Int8Kernel::kRows;
  t.shared_bytes = 0;
  t.load_words = device.subgroup_size >= 8 && sides.cols % 32u == 0 && sides.segment % 32u == 0 ? 8 : 4;
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

// The tiling of kernels without cooperative matrices.
inline Int8Tiling chooseInt8Tiling(const Int8Device& device, const Int8Sides& sides) {
  const uint32_t workgroup = device.workgroup < 128 ? device.workgroup : 128;
  const uint32_t tokens = int8TokensEach(sides.tokens, kInt8TokensEach);
  // Small workgroups, so that there are enough of them for every thread of the CPU.
  if (fitsInt8Rows(device) && avoidsExchange(device.type, uint64_t(sides.rows) * sides.batch / kInt8RowsEach)) {
    return int8Rows(tokens, sides, device);
  }
  if (isCpu(device.type)) return int8Registers(32, tokens, 1);
  // Few tokens: 32 lanes divide a row, so that neighbouring lanes read neighbouring memory.
  if (sides.tokens <= kInt8TokensEach) return int8Registers(workgroup, tokens, 32);
  if (workgroup < 128) return int8Registers(workgroup, tokens, 1);
  return int8Tiles(int8TokensEach((sides.tokens + 7u) / 8u, kInt8TokensEach), sides);
}

// Replaces *t by a measured choice {kernel, tokens each, lanes}, kernel 0 = registers, 1 = tiles, 2 = rows. False if it
// does not fit the device or the problem.
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
  // Each token's sums are finished by a lane of its own, so there must be as many lanes as tokens.
  const uint32_t workgroup = lanes == 1 ? t->workgroup : max_invocations < 128 ? max_invocations : 128;
  if (value[0] != 0 || !isPowerOfTwo(lanes) || lanes > workgroup || (lanes > 1 && lanes < tokens)) return false;
  *t = int8Registers(workgroup, tokens, lanes);
  return true;
}

// Bytes of shared memory if the workgroup quantizes its tokens (`runs` runs of 16 elements each) itself: those of the
// tiling, the codes and scales, and the exchange of extents.
inline uint64_t stagedShared(const Int8Tiling& t, uint32_t runs) {
  return t.shared_bytes + t.tokens * (uint64_t(runs) * 16u + 8u) + t.workgroup * 12u;
}

// Whether to do so: the tokens fit one tile, and reading them twice costs at most as much as reading the weights. Rows
// are in bytes. A CPU runs two dispatches as fast as one, and would pay for every workgroup's quantization.
inline bool prefersStaged(uint32_t device_type, const Int8Tiling& t, uint32_t tokens, uint64_t weights_row,
                          uint64_t token_row) {
  return !isCpu(device_type) && t.kernel == Int8Kernel::kRegisters && tokens <= t.tile_tokens &&
         2u * tokens * token_row <= t.tile_rows * weights_row;
}

// The shape of cooperative matrices of signed bytes with 32-bit accumulators: m tokens, n channels, k columns.
struct Int8Matrix {
  uint32_t m, n, k;
};

struct Int8MatrixTiling {
  Int8Tiling tiling;
  Int8Matrix shape;
  uint32_t span_m, span_n;  // matrices per subgroup
  uint32_t depth;           // matrices per step, along the columns
};

// A tile of 64 channels and up to 64 tokens for four subgroups. False if there are few tokens, which leave most of a
// matrix empty, if scales change along a row, which would need scaling between steps, or if the shape does not divide
// the tile.
inline bool chooseInt8Matrices(uint32_t subgroup_size, const Int8Matrix& shape, const Int8Sides& sides,
                               Int8MatrixTiling* out) {
  constexpr uint32_t kFewTokens = 8, kHalfTile = 32, kStep = 64, kPitch = kStep + 16;
  if (sides.tokens <= kFewTokens || sides.segment != sides.cols) return false;
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
  const uint32_t staged_rows = t.tiling.tile_tokens + t.tiling.tile_rows;
  t.tiling.shared_bytes = staged_rows * kPitch + 4 * shape.m * shape.n * 4 + staged_rows * 4;
  *out = t;
  return true;
}

}  // namespace nib
#endif
