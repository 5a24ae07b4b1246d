// Stores found scales and zero points of rows of a blob.
#ifndef NIB_REFERENCE_ROW_SCALES_H
#define NIB_REFERENCE_ROW_SCALES_H

#include "formats/scale_store.h"
#include "reference/reference.h"

namespace nib::reference {

struct RowScales {
  const Geometry& g;
  uint32_t scale_type;
  void* scales;
  void* zeros;  // NULL: none

  void save(uint32_t index, const StoredScale& scale) const {
    saveStored(scales, scaleBytes(scale_type), index, scaleToStored(scale.scale_bits, scale_type));
    if (zeros != nullptr) saveStored(zeros, 1, index, g.format->zeroToStored(scale.zero));
  }

  // Zeroes the padding after the last scale of a row: of every row if ALIGNED, else of the blob's last row.
  void pad(uint32_t row) const {
    padPart(scales, scaleBytes(scale_type), row);
    if (zeros != nullptr) padPart(zeros, 1, row);
  }

 private:
  void padPart(void* to, uint32_t bytes, uint32_t row) const {
    const uint32_t first = row * g.scale_row_stride + g.groups_per_row, end = (row + 1) * g.scale_row_stride;
    for (uint32_t i = first; i < end || (row + 1 == g.rows && uint64_t(i) * bytes % 4 != 0); ++i)
      saveStored(to, bytes, i, 0);
  }
};

}  // namespace nib::reference
#endif
