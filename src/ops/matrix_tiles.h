// How products on matrix units are divided into subgroups, from the device's limits and the shape of its matrices
// alone: pure functions, tested without a GPU.
#ifndef NIB_OPS_MATRIX_TILES_H
#define NIB_OPS_MATRIX_TILES_H

#include "ops/tuning.h"
#include "vk/caps.h"

namespace nib {

struct MatrixDevice {
  uint32_t subgroup;        // invocations of a subgroup
  uint32_t least_subgroup;  // of those that the device has
  uint32_t max_workgroup;   // invocations
  uint32_t max_shared_bytes;
};

inline MatrixDevice matrixDevice(const vk::Caps& caps) {
  return {caps.matrix_subgroup_size, caps.min_subgroup_size, caps.max_workgroup_invocations, caps.max_shared_bytes};
}

// Devices with subgroups of less than 32 have registers of a fixed width: a lane of a wider subgroup has fewer of them.
inline bool hasFewRegisters(const MatrixDevice& d) { return d.least_subgroup < 32; }

// Larger workgroups wait longer at their barriers, and fewer fit a core.
inline uint32_t mostInvocations(const MatrixDevice& d) { return d.max_workgroup < 512 ? d.max_workgroup : 512; }

// Matrices of a device's list: m x k times k x n.
struct MatrixShape {
  uint32_t m, n, k;
};

// Products per element that is loaded for them.
inline uint32_t matrixReuse(const MatrixShape& c) { return 64u * c.m * c.n / (c.m + c.n); }

// Whether tiles can be made of whole matrices.
inline bool fitsTiles(const MatrixShape& c) {
  return isPowerOfTwo(c.m) && isPowerOfTwo(c.n) && isPowerOfTwo(c.k) && c.m >= 4 && c.n >= 4 && c.k >= 4 && c.m <= 64 &&
         c.n <= 64;
}

// Results of a subgroup, at most: every lane keeps its share of the sums in registers. Larger areas load fewer matrices
// per product.
inline uint32_t subgroupArea(const MatrixDevice& d) {
  const uint32_t area = hasFewRegisters(d) ? 64 * (d.subgroup < 16 ? d.subgroup : 16) : 128 * d.subgroup;
  return area < 64 * 64 ? area : 64 * 64;
}

// Subgroups of a workgroup along m and n, and matrices of a subgroup.
struct MatrixDivision {
  uint32_t subgroups_m, subgroups_n, matrices_m, matrices_n;
};

// Divides a tile of side_m x side_n, powers of two, into areas of up to `area` results, as square as possible. False if
// matrices do not divide it.
inline bool divideTile(uint32_t side_m, uint32_t side_n, uint32_t area, const MatrixShape& c, uint32_t subgroup,
                       MatrixDivision* out) {
  constexpr uint32_t kLeastSubgroups = 4, kLeastInvocations = 128;
  uint32_t subgroups = kLeastSubgroups;
  while (side_m * side_n / subgroups > area) subgroups *= 2;
  // Few invocations would have much to stage.
  while (subgroups * subgroup < kLeastInvocations && side_m * side_n / subgroups >= 2 * c.m * c.n) subgroups *= 2;
  uint32_t least = UINT32_MAX;
  for (uint32_t m = 1; m <= subgroups; m *= 2) {
    const uint32_t area_m = side_m / m, area_n = side_n / (subgroups / m);
    if (area_m == 0 || area_n == 0 || area_m % c.m != 0 || area_n % c.n != 0 || area_m + area_n >= least) continue;
    least = area_m + area_n;
    *out = {m, subgroups / m, area_m / c.m, area_n / c.n};
  }
  return least != UINT32_MAX;
}

// Columns of a step: `usual`, or one matrix where lanes have few registers, because the next one's loads would need
// more.
inline uint32_t matrixStep(uint32_t usual, const MatrixShape& c, const MatrixDevice& d, uint32_t least) {
  const uint32_t one = c.k > least ? c.k : least;
  return !hasFewRegisters(d) || one > usual ? usual : one;
}

struct TileDims {
  uint32_t rows, tokens;
};
// Tiles of products on matrix units, the largest first.
inline constexpr TileDims kMatrixTiles[] = {{128, 128}, {128, 64}, {64, 64}, {64, 32}, {32, 32}};

// Whether a product has a tile for most cores of a large GPU. One that takes no time anyhow, as a
// self-test's, need not.
inline bool fillsDevice(const TileDims& tile, uint64_t rows, uint64_t tokens, uint64_t batch, uint64_t cols) {
  constexpr uint64_t kCores = 64, kSmall = 1u << 24;
  if (rows * tokens * cols < kSmall) return true;
  return (rows + tile.rows - 1) / tile.rows * ((tokens + tile.tokens - 1) / tile.tokens) * batch >= kCores;
}

// Sizes of small products for which all tiles but the largest are chosen: one less of a tile would be mostly empty.
inline constexpr TileDims kSmallTiles[] = {{71, 37}, {73, 19}, {61, 69}, {31, 69}};

}  // namespace nib
#endif
