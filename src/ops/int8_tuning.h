// How an int8 product is divided into workgroups, from the device's limits and type and the problem's size alone: pure
// functions, tested without a GPU.
#ifndef NIB_OPS_INT8_TUNING_H
#define NIB_OPS_INT8_TUNING_H

#include "ops/matrix_tiles.h"

namespace nib {

enum class Int8Kernel : uint32_t {
  kRegisters,  // int8_gemm
  kRows,       // int8_gemm_rows
  kTiles,      // int8_gemm_tiles
  kMatrices    // int8_gemm_matrices
};

struct Int8Dims {
  uint32_t rows, tokens, cols;
  uint32_t segment;    // columns that share scales; cols = all of them
  uint32_t batch = 1;  // matrices
};

struct Int8Device {
  uint32_t type;               // VkPhysicalDeviceType
  uint32_t workgroup;          // invocations, at least 128
  uint32_t subgroup_size;      // 0 = the device lacks the kernel int8_gemm_rows
  bool few_registers = false;  // too few for results besides the sums of eight tokens, or for dots of single bytes
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
inline uint32_t int8Depth(const Int8Dims& dims) {
  return dims.segment == dims.cols || dims.segment % 64u == 0 ? 4u : dims.segment % 32u == 0 ? 2u : 1u;
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

inline Int8Tiling int8Rows(uint32_t tokens, const Int8Dims& dims, const Int8Device& device) {
  Int8Tiling t = int8Registers(kInt8RowsWorkgroup, tokens, 1);
  t.kernel = Int8Kernel::kRows;
  t.shared_bytes = 0;
  t.load_words = device.subgroup_size >= 8 && dims.cols % 32u == 0 && dims.segment % 32u == 0 ? 8 : 4;
  return t;
}

// 16 x 8 invocations, each with four rows and `tokens` tokens.
inline Int8Tiling int8Tiles(uint32_t tokens, const Int8Dims& dims) {
  Int8Tiling t{};
  t.kernel = Int8Kernel::kTiles;
  t.workgroup = 128;
  t.tokens = tokens;
  t.lanes = 1;
  t.tile_rows = 16 * kInt8RowsEach;
  t.tile_tokens = 8 * tokens;
  t.depth = int8Depth(dims);
  t.shared_bytes = (t.tile_rows + t.tile_tokens) * t.depth * 16u;
  return t;
}

// The tiling of kernels without cooperative matrices.
inline Int8Tiling chooseInt8Tiling(const Int8Device& device, const Int8Dims& dims) {
  const uint32_t workgroup = device.workgroup < 128 ? device.workgroup : 128;
  const uint32_t tokens = int8TokensEach(dims.tokens, kInt8TokensEach);
  // Small workgroups, so that there are enough of them for every thread of the CPU.
  if (fitsInt8Rows(device) && avoidsExchange(device.type, uint64_t(dims.rows) * dims.batch / kInt8RowsEach)) {
    return int8Rows(tokens, dims, device);
  }
  if (isCpu(device.type)) return int8Registers(32, tokens, 1);
  // Few tokens: 32 lanes divide a row, so that neighbouring lanes read neighbouring memory.
  if (dims.tokens <= kInt8TokensEach) return int8Registers(workgroup, tokens, 32);
  if (workgroup < 128) return int8Registers(workgroup, tokens, 1);
  return int8Tiles(int8TokensEach((dims.tokens + 7u) / 8u, device.few_registers ? 4 : kInt8TokensEach), dims);
}

// Replaces *t by a measured choice {kernel, tokens each, lanes}, kernel 0 = registers, 1 = tiles, 2 = rows. False if it
// does not fit the device or the problem.
inline bool tuneInt8(const uint32_t* value, const Int8Device& device, const Int8Dims& dims, Int8Tiling* t) {
  const uint32_t tokens = value[1], lanes = value[2], max_invocations = device.workgroup;
  if (!isPowerOfTwo(tokens) || tokens > kInt8TokensEach) return false;
  if (value[0] == 1) {
    if (max_invocations < 128) return false;
    *t = int8Tiles(tokens, dims);
    return true;
  }
  if (value[0] == 2) {
    if (!fitsInt8Rows(device)) return false;
    *t = int8Rows(tokens, dims, device);
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

struct Int8MatrixTiling {
  Int8Tiling tiling;
  MatrixShape shape;        // m tokens, n channels, k columns
  MatrixDivision division;  // m: tokens, n: channels
  uint32_t depth;           // matrices per step, along the columns
};

// A tile of `dims`. False if it does not fit the device or the problem. grouped: scales change along a row.
inline bool int8MatrixTile(const TileDims& dims, const MatrixShape& shape, const MatrixDevice& d, uint32_t segment,
                           bool grouped, Int8MatrixTiling* out) {
  constexpr uint32_t kStep = 64, kPad = 16, kSixteen = 16;
  Int8MatrixTiling t{};
  // With groups, lanes keep results besides the sums, and need registers to scale them.
  const uint32_t area = subgroupArea(d) / (!grouped ? 1 : hasFewRegisters(d) ? 4 : 2);
  if (!divideTile(dims.tokens, dims.rows, area, shape, d.subgroup, &t.division)) return false;
  uint32_t step = matrixStep(kStep, shape, d, kSixteen);
  if (grouped) {
    while (segment % step != 0) step /= 2;
  }
  if (step < kSixteen || step % shape.k != 0) return false;
  const uint32_t subgroups = t.division.subgroups_m * t.division.subgroups_n;
  t.shape = shape;
  t.depth = step / shape.k;
  t.tiling.kernel = Int8Kernel::kMatrices;
  t.tiling.workgroup = subgroups * d.subgroup;
  t.tiling.tile_tokens = dims.tokens;
  t.tiling.tile_rows = dims.rows;
  // Codes, a matrix of each subgroup, and a sum of codes or a scale for every row and token.
  t.tiling.shared_bytes = (dims.rows + dims.tokens) * (step + kPad + 4) + subgroups * shape.m * shape.n * 4 + 16;
  if (t.tiling.workgroup > mostInvocations(d) || t.tiling.shared_bytes > d.max_shared_bytes) return false;
  if (t.tiling.workgroup % (step / kSixteen) != 0) return false;
  *out = t;
  return true;
}

// The largest tile that fits and is not mostly empty. False if there are few tokens, which leave most of a matrix
// empty, or if no tile fits.
inline bool chooseInt8Matrices(const MatrixDevice& d, const MatrixShape& shape, const Int8Dims& dims,
                               Int8MatrixTiling* out) {
  constexpr uint32_t kFewTokens = 8;
  if (dims.tokens <= kFewTokens || !fitsTiles(shape) || !isPowerOfTwo(d.subgroup)) return false;
  bool fits = false;
  for (const TileDims& tile : kMatrixTiles) {
    if (!int8MatrixTile(tile, shape, d, dims.segment, dims.segment != dims.cols, out)) continue;
    fits = true;
    if (tile.rows < 2 * dims.rows && tile.tokens < 2 * dims.tokens) break;
  }
  return fits;
}

}  // namespace nib
#endif
