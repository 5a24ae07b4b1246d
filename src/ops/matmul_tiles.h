// How float products are divided into workgroups, from the device's limits and type and the problem's size alone: pure
// functions, tested without a GPU.
#ifndef NIB_OPS_MATMUL_TILES_H
#define NIB_OPS_MATMUL_TILES_H

#include <bit>

#include "ops/matrix_tiles.h"
#include "ops/tuning.h"

namespace nib {

struct ProductShape {
  uint32_t rows, cols, tokens, batch;
  uint32_t run;         // columns of a run of codes
  uint32_t group_runs;  // runs per group; at least a row's runs if there are no groups
};

struct ProductDevice {
  uint32_t type;           // VkPhysicalDeviceType
  uint32_t workgroup;      // invocations, a power of two
  uint32_t subgroup_size;  // 0 = the kernels use no subgroups
  bool whole_rows;         // the device has the kernel matmul_rows
};

// The tile of the kernel matvec or, if `lanes` is 0, of matmul_rows.
struct MatvecTiles {
  uint32_t lanes, rows, tokens, unit;
  uint32_t load_runs;  // matmul_rows: runs whose activations a subgroup loads at once
  uint32_t splits, units_per_split;
};

inline uint32_t powerOfTwoUpTo(uint32_t value) {
  uint32_t power = 1;
  while (power <= value / 2) power *= 2;
  return power;
}

inline constexpr uint32_t kBusyInvocations = 1u << 17;  // keep a large GPU busy
inline constexpr uint32_t kMatvecWorkgroup = 128;
inline constexpr uint32_t kMatvecTokens = 8;  // per tile, at most

// Into how many parts the columns are split if few rows would leave a GPU idle (split-K). The same on every device,
// because the scratch size depends on it.
inline uint32_t columnParts(const ProductShape& s) {
  if (s.tokens > kMatvecTokens) return 1;
  const uint64_t teams = (uint64_t(s.rows) + 1) / 2 * s.batch;
  const uint64_t wanted = kBusyInvocations / (teams * kMatvecWorkgroup);
  // A part has at least 32 columns for every invocation of a workgroup.
  const uint64_t max_parts = s.cols / (32u * kMatvecWorkgroup);
  const uint64_t parts = wanted < max_parts ? wanted : max_parts;
  return parts < 2 ? 1u : parts > 16 ? 16u : uint32_t(parts);
}

// Whether this many teams of a subgroup each fill a GPU: two or more for every scheduler of the largest.
inline bool fillsDevice(uint64_t teams) { return teams >= 1024; }

// How matvec finds the group of a column, for its constant GROUP: below 31 by a shift of as many bits.
inline constexpr uint32_t kGroupRow = 31, kGroupMultiply = 32, kGroupDivide = 33;
inline uint32_t groupRule(uint32_t cols, uint32_t group) {
  if (group >= cols) return kGroupRow;
  if (isPowerOfTwo(group)) return uint32_t(std::countr_zero(group));
  return uint64_t(cols) * group < uint64_t(1) << 32 ? kGroupMultiply : kGroupDivide;
}

inline constexpr uint32_t kRowsWorkgroup = 32;
inline constexpr uint32_t kRowsTokens = 16;  // per tile, at most

// Whether matmul_rows fits, which gives whole rows to an invocation: a subgroup must have a lane for every four columns
// of a run.
inline bool fitsRows(const ProductShape& s, const ProductDevice& d) {
  return d.whole_rows && d.subgroup_size >= s.run / 4;
}

inline MatvecTiles wholeRows(uint32_t tokens, uint32_t unit, const ProductShape& s, const ProductDevice& d) {
  const uint32_t runs = (s.cols + s.run - 1) / s.run;
  MatvecTiles t{};
  t.rows = 4;
  t.tokens = tokens;
  // A row must consist of whole units, and all runs of a unit must share a scale.
  for (t.unit = unit; runs % t.unit != 0 || (s.group_runs < runs && s.group_runs % t.unit != 0);) --t.unit;
  t.load_runs = s.run == 16 && t.unit % 2 == 0 && d.subgroup_size >= 8 ? 2 : 1;
  t.splits = 1;
  t.units_per_split = runs / t.unit;
  return t;
}

// More than `least` columns, and more than `group`, of rows that are divided into the same units as those of `s`, with
// their tail; the columns of `s` if there are none close by.
inline uint32_t smallWholeRows(const ProductShape& s, uint32_t least, uint32_t group) {
  const uint32_t all = (s.cols + s.run - 1) / s.run;
  const auto same = [&](uint32_t runs) {
    for (uint32_t unit = 2; unit <= 256u / s.run; ++unit) {
      if ((runs % unit == 0) != (all % unit == 0)) return false;
    }
    return true;
  };
  const uint32_t from = (least > group ? least : group) / s.run + 2;
  for (uint32_t runs = from; runs < from + 64; ++runs) {
    if (same(runs)) return (runs - 1) * s.run + (s.cols - 1) % s.run + 1;
  }
  return s.cols;
}

inline MatvecTiles chooseMatvec(const ProductShape& s, const ProductDevice& d) {
  const uint32_t runs = (s.cols + s.run - 1) / s.run;
  MatvecTiles t{};
  t.tokens = s.tokens > 4 ? kMatvecTokens : s.tokens > 2 ? 4 : s.tokens;
  t.rows = t.tokens > 2 ? 2 : 4;
  if (fitsRows(s, d) && avoidsExchange(d.type, uint64_t(s.rows) * s.batch / 4)) {
    return wholeRows(t.tokens, 256u / s.run, s, d);
  }
  if (avoidsExchange(d.type, uint64_t(s.rows) * s.batch / t.rows)) {
    // An invocation computes whole rows: there is no exchange, and all lanes of a vector read the same activations.
    // Eight accumulators and a few weights fit the vector registers of every CPU. With many tokens 16 accumulators are
    // faster, because twice as many products share the decoding.
    if (s.tokens > kMatvecTokens) t.rows = 4;
    if (t.tokens > 4) t.tokens = 4;
    t.lanes = 1;
    t.unit = 256u / s.run;
  } else {
    // A lane processes about 32 columns at a time, whose codes take one or two wide loads.
    t.unit = s.run >= 32 ? 1 : 2;
    const uint32_t units = (runs + t.unit - 1) / t.unit;
    if (d.subgroup_size != 0) {
      // A subgroup computes a tile's rows if rows are many or short. Otherwise the whole workgroup does.
      const uint64_t teams = uint64_t((s.rows + t.rows - 1) / t.rows) * s.batch;
      const bool narrow = d.subgroup_size < d.workgroup && (units <= 2 * d.subgroup_size || fillsDevice(teams));
      t.lanes = narrow ? d.subgroup_size : d.workgroup;
    } else {
      t.lanes = powerOfTwoUpTo(units);
      if (t.lanes > d.workgroup) t.lanes = d.workgroup;
    }
  }
  // All runs of a unit must share a scale.
  if (s.group_runs < runs) {
    while (s.group_runs % t.unit != 0) --t.unit;
  }
  const uint32_t units = (runs + t.unit - 1) / t.unit;
  t.splits = isCpu(d.type) ? 1u : columnParts(s);
  t.units_per_split = (units + t.splits - 1) / t.splits;
  return t;
}

// Replaces *t by a measured choice {lanes, rows, tokens, unit}. False if the kernel or the sizes do not allow it.
inline bool tuneMatvec(const uint32_t* value, const ProductShape& s, const ProductDevice& d, MatvecTiles* t) {
  const uint32_t lanes = value[0], rows = value[1], tokens = value[2], unit = value[3];
  if (lanes == 0) {
    const bool fits = rows == 4 && isPowerOfTwo(tokens) && tokens <= kRowsTokens && unit != 0 && unit * s.run <= 256;
    if (!fits || !fitsRows(s, d)) return false;
    *t = wholeRows(tokens, unit, s, d);
    return true;
  }
  const bool team = d.subgroup_size == 0 ? isPowerOfTwo(lanes) && lanes <= d.workgroup
                                         : lanes == 1 || lanes == d.subgroup_size || lanes == d.workgroup;
  if (!team || lanes > d.workgroup || (rows != 2 && rows != 4) || !isPowerOfTwo(tokens) || tokens > kMatvecTokens ||
      rows * tokens > 16) {
    return false;
  }
  const uint32_t runs = (s.cols + s.run - 1) / s.run;
  if (unit == 0 || unit * s.run > 256 || (s.group_runs < runs && s.group_runs % unit != 0)) return false;
  t->lanes = lanes;
  t->load_runs = 0;
  t->rows = rows;
  t->tokens = tokens;
  t->unit = unit;
  const uint32_t units = (runs + unit - 1) / unit;
  t->units_per_split = (units + t->splits - 1) / t->splits;
  return true;
}

// The tile of the kernel matmul; 0 x 0 if matvec is to be used.
struct MatmulTiles {
  uint32_t workgroup, rows, tokens, invocation_tokens, shared_bytes;
};

// Lines of 16 columns and a vector between them, and a table of values.
inline uint32_t matmulShared(uint32_t rows, uint32_t tokens) { return (rows + tokens) * 20 * 4 + 1024; }

inline constexpr MatmulTiles kMatmulTiles[] = {
    {128, 64, 64, 8, 0}, {64, 64, 32, 8, 0}, {64, 32, 32, 4, 0}, {32, 32, 16, 4, 0}};
inline constexpr uint32_t kMatmulTileCount = sizeof kMatmulTiles / sizeof kMatmulTiles[0];

// Sets *out to tile `number` of kMatmulTiles, counted from 1; 0 = matvec. False if it does not fit.
inline bool tuneMatmul(uint32_t number, const ProductShape& s, const ProductDevice& d, uint32_t shared_bytes,
                       MatmulTiles* out) {
  if (s.tokens <= kMatvecTokens || number > kMatmulTileCount) return false;
  MatmulTiles t{};
  if (number != 0) {
    t = kMatmulTiles[number - 1];
    t.shared_bytes = matmulShared(t.rows, t.tokens);
    if (t.shared_bytes > shared_bytes || t.workgroup > d.workgroup) return false;
  }
  *out = t;
  return true;
}

// For many tokens on a GPU: the largest tile that fits and is not mostly empty.
inline MatmulTiles chooseMatmul(const ProductShape& s, const ProductDevice& d, uint32_t shared_bytes) {
  if (isCpu(d.type) || s.tokens <= kMatvecTokens) return {};
  for (MatmulTiles t : kMatmulTiles) {
    t.shared_bytes = matmulShared(t.rows, t.tokens);
    const bool half_empty = t.tokens >= 2 * s.tokens || t.rows >= 2 * s.rows;
    const bool last = t.workgroup == 32;
    if (t.shared_bytes <= shared_bytes && t.workgroup <= d.workgroup && (last || !half_empty)) return t;
  }
  return {};
}

// The tile of the kernel matmul_half; workgroup 0 if the device's matrices do not fit it.
struct MatmulHalfTiles {
  uint32_t workgroup, subgroup;
  MatrixDivision division;  // m: rows, n: tokens
  uint32_t rows, tokens, step, shared_bytes;
};

inline MatmulHalfTiles matmulHalfTiles(const TileDims& dims, const MatrixShape& c, const MatrixDevice& d) {
  constexpr uint32_t kStep = 32, kEight = 8, kTableBytes = 1024;
  MatmulHalfTiles t{};
  if (!divideTile(dims.rows, dims.tokens, subgroupArea(d), c, d.subgroup, &t.division)) return t;
  const uint32_t subgroups = t.division.subgroups_m * t.division.subgroups_n;
  t.subgroup = d.subgroup;
  t.rows = dims.rows;
  t.tokens = dims.tokens;
  t.step = matrixStep(kStep, c, d, kEight);
  t.shared_bytes = (t.rows + t.tokens) * (t.step + kEight) * 2 + subgroups * c.m * c.n * 4 + kTableBytes;
  const uint32_t workgroup = d.subgroup * subgroups;
  const bool fits = workgroup <= mostInvocations(d) && t.shared_bytes <= d.max_shared_bytes;
  if (fits && t.step % c.k == 0 && workgroup % (t.step / kEight) == 0) t.workgroup = workgroup;
  return t;
}

// The largest tile that fits, is not mostly empty and leaves no core without one.
inline MatmulHalfTiles chooseMatmulHalf(const ProductShape& s, const MatrixShape& c, const MatrixDevice& d) {
  MatmulHalfTiles least{};
  if (!fitsTiles(c) || !isPowerOfTwo(d.subgroup)) return least;
  for (const TileDims& dims : kMatrixTiles) {
    const MatmulHalfTiles t = matmulHalfTiles(dims, c, d);
    if (t.workgroup == 0) continue;
    const bool half_empty = dims.rows >= 2 * s.rows || dims.tokens >= 2 * s.tokens;
    if (!half_empty && fillsDevice(dims, s.rows, s.tokens, s.batch, s.cols)) return t;
    least = t;
  }
  return least;
}

}  // namespace nib
#endif
