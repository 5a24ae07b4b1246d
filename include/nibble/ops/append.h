// NIB_OP_APPEND: writes rows of keys or values into a cache, each at a row of its own.
#ifndef NIBBLE_OPS_APPEND_H
#define NIBBLE_OPS_APPEND_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_APPEND 16u

// INPUT dense [run tokens, cols] in NIB_PART_SOURCE, and NIB_PART_INDICES after it at a multiple of 256 bytes:
// uint32[run tokens], the row of the cache where each token goes. -> OUTPUT NIB_PART_RESULT: the cache, dense
// [cache_rows, cols], whose other rows keep their bytes. NibRun.n = tokens of the run; first_row must be 0, since the
// rows are data. A run should name a row at most once; a row that is named twice holds elements of either token. A
// token whose number is >= cache_rows is not written. No part may be in place. The cache may be of any size: one that
// does not fit one storage range is written in windows, with one dispatch for each. A row must fit one window.
// Bit-exact: elements are converted as NIB_OP_CONVERT does it. A row of an odd number of 16-bit elements ends with a
// word whose other half becomes 0.
typedef struct NibAppendDesc {
  uint32_t op;          // NIB_OP_APPEND
  uint32_t desc_bytes;  // sizeof(NibAppendDesc)
  uint32_t flags;       // 0
  uint32_t tokens;      // the most tokens of a run
  uint32_t cols;
  uint32_t cache_rows;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from token to token; 0 = cols
  uint32_t cache_stride;   // elements from row to row of the cache; 0 = cols (16-bit types: rounded up to even)
  NibWeights cache;  // format NIB_FORMAT_DENSE, scale_type F32, F16 or BF16: the type of its elements; all else 0.
                     // Other formats are refused (NIB_ERROR_UNSUPPORTED)
} NibAppendDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_APPEND_H
