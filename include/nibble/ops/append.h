// NIB_OP_APPEND: writes rows of keys or values into a cache, each at a row of its own.
#ifndef NIBBLE_OPS_APPEND_H
#define NIBBLE_OPS_APPEND_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_APPEND 16u

// INPUT dense [run tokens, cols] in NIB_PART_SOURCE, and NIB_PART_INDICES after it at a multiple of 256 bytes:
// uint32[run tokens], the row of the cache where each token goes. -> OUTPUT NIB_PART_RESULT: the cache
// [cache_rows, cols], dense or quantized, whose other rows keep their bytes. NibRun.n = tokens of the run; first_row
// must be 0, since the rows are data. A run should name a row at most once; a row that is named twice holds elements of
// either token. A token whose number is >= cache_rows is not written. No part may be in place. The cache may be of any
// size: one that does not fit one storage range is written in windows, with one dispatch for each. A row must fit one
// window. Bit-exact: elements are converted as NIB_OP_CONVERT does it. A row of an odd number of 16-bit elements ends
// with a word whose other half becomes 0.
//
// A quantized cache has int8, int4, fp8, q8_0 or q4_0. Each row is the blob that NIB_OP_QUANTIZE makes of the token as
// a matrix of one row, but its parts follow each other without gaps: the words of codes, then of scales, then of zero
// points if there are any. So rows share no word, and runs that write different rows need no barrier between them. A
// group with NaN or infinity becomes 0. NIB_OP_DEQUANTIZE decodes a row.
typedef struct NibAppendDesc {
  uint32_t op;          // NIB_OP_APPEND
  uint32_t desc_bytes;  // sizeof(NibAppendDesc)
  uint32_t flags;       // 0
  uint32_t tokens;      // the most tokens of a run
  uint32_t cols;
  uint32_t cache_rows;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from token to token; 0 = cols
  uint32_t cache_stride;   // elements from row to row of the cache; 0 = cols (16-bit types: rounded up to even).
                           // Quantized: 0
  NibWeights cache;  // format NIB_FORMAT_DENSE, scale_type F32, F16 or BF16: the type of its elements; all else 0.
                     // Quantized: GROUP of a size that divides cols, scale_type F16, flags ASYMMETRIC or NARROW if
                     // the format has them. Other formats are refused (NIB_ERROR_UNSUPPORTED)
} NibAppendDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_APPEND_H
