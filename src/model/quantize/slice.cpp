#include "model/quantize/slice.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace nib::model {

void readSlice(const Checkpoint& checkpoint, size_t tensor, const Slice& slice, uint32_t cols, uint32_t element_bytes,
               uint64_t begin, uint64_t count, std::span<std::byte> out) {
  const uint64_t end = begin + count;
  if (slice.column_stride == 1) {
    // Whole rows, or a part of one at either end.
    for (uint64_t at = begin; at < end;) {
      const uint64_t row = at / cols, column = at % cols;
      const uint64_t run = slice.row_stride == cols ? end - at : std::min<uint64_t>(cols - column, end - at);
      checkpoint.read(tensor, (slice.first + row * slice.row_stride + column) * element_bytes,
                      out.subspan(size_t((at - begin) * element_bytes), size_t(run * element_bytes)));
      at += run;
    }
    return;
  }
  // A column of the matrix is contiguous: read each column's part for all rows at once.
  const uint64_t first_row = begin / cols, rows = (end + cols - 1) / cols - first_row;
  std::vector<std::byte> column(size_t(rows * element_bytes));
  for (uint64_t c = 0; c < cols; ++c) {
    checkpoint.read(tensor, (slice.first + first_row * slice.row_stride + c * slice.column_stride) * element_bytes,
                    column);
    for (uint64_t r = 0; r < rows; ++r) {
      const uint64_t element = (first_row + r) * cols + c;
      if (element < begin || element >= end) continue;
      std::memcpy(&out[size_t((element - begin) * element_bytes)], &column[size_t(r * element_bytes)], element_bytes);
    }
  }
}

}  // namespace nib::model
