// The order of the rows of queries and keys, where a file has them in pairs.
#ifndef NIB_MODEL_ARCHIVE_ROW_ORDER_H
#define NIB_MODEL_ARCHIVE_ROW_ORDER_H

#include <cstddef>
#include <cstdint>
#include <span>

namespace nib::model {

// The rows of each head: row i of the first half, then row i of the second half, for all i.
struct RowOrder {
  uint64_t row_bytes = 0;  // 0 = rows are in order
  uint64_t head_rows = 0;  // even

  explicit operator bool() const { return row_bytes != 0; }
  // The row in the file of a row of the Hugging Face layout.
  uint64_t placeOf(uint64_t row) const {
    const uint64_t half = head_rows / 2, in_head = row % head_rows;
    return row - in_head + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
  }
  // Calls move(at, offset, count) for each piece of the bytes [offset, offset + count) of the Hugging Face layout:
  // `at` is where the piece is in the file.
  template <class Move>
  void forEach(uint64_t offset, uint64_t count, const Move& move) const {
    for (const uint64_t end = offset + count; offset < end;) {
      const uint64_t row = offset / row_bytes, in_row = offset % row_bytes;
      const uint64_t piece = row_bytes - in_row < end - offset ? row_bytes - in_row : end - offset;
      move(placeOf(row) * row_bytes + in_row, offset, piece);
      offset += piece;
    }
  }
};

}  // namespace nib::model
#endif
