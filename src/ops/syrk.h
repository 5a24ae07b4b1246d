// Tiles of the kernel syrk, which the Hessian and the factorization share.
#ifndef NIB_OPS_SYRK_H
#define NIB_OPS_SYRK_H

#include <nibble/nibble.h>

#include "ops/tuning.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/syrk.h"
#endif

namespace nib {

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(SyrkSpec, SYRK_SPEC)

// Fills the sizes of a tile. An invocation has eight rows and four columns. On a CPU all invocations of a workgroup
// have the same rows, whose elements are then loaded once for a vector of invocations.
inline void fillSyrkTile(uint32_t device_type, SyrkSpec* spec) {
  spec->BM = isCpu(device_type) ? 8 : 64;
  spec->WG = spec->BM / 8 * (NIB_SYRK_COLS / 4);
}

inline uint32_t syrkSharedBytes(const SyrkSpec& spec) { return NIB_SYRK_STEP * (spec.BM + NIB_SYRK_COLS) * 4; }

// Tiles over the rows of a result of `cols` columns.
inline TileRule syrkTiles(const SyrkSpec& spec, uint32_t cols) {
  TileRule tiles;
  tiles.row_block = spec.BM;
  tiles.mul = ceilDiv(cols, NIB_SYRK_COLS);
  return tiles;
}

inline uint64_t syrkTileBytes(const SyrkSpec& spec, uint64_t terms, uint64_t element_bytes) {
  return (spec.BM + NIB_SYRK_COLS) * terms * element_bytes + uint64_t(spec.BM) * NIB_SYRK_COLS * 8;
}

// The tiles' rows of a part, fp32 [cols, cols].
inline Slot syrkResultSlot(uint64_t part_offset, uint32_t cols) {
  return itemSlot(NIB_ROLE_OUTPUT, part_offset, cols * 4ull, NIB_SYRK_COLS * 4ull, cols * 4ull).of(NIB_PART_RESULT);
}

#endif

}  // namespace nib
#endif
