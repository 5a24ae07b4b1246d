// NIB_OP_LOG_HISTOGRAM: counts in log-spaced bins, whose relative width is the same for all magnitudes.
#ifndef NIBBLE_OPS_LOG_HISTOGRAM_H
#define NIBBLE_OPS_LOG_HISTOGRAM_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_LOG_HISTOGRAM 25u

#define NIB_LOG_HISTOGRAM_MAX_BITS 9u         // TENSOR
#define NIB_LOG_HISTOGRAM_MAX_COLUMN_BITS 3u  // COLUMN

// Bins of one sign, and of a whole histogram.
#define NIB_LOG_HISTOGRAM_SIDE(mantissa_bits) (254u << (mantissa_bits))
#define NIB_LOG_HISTOGRAM_BINS(mantissa_bits) (2u * NIB_LOG_HISTOGRAM_SIDE(mantissa_bits) + 1u)

// INPUT dense [rows, cols] -> OUTPUT uint64 [histograms, NIB_LOG_HISTOGRAM_BINS(mantissa_bits)] per tensor or column:
// the run adds 1 for each finite element. The caller clears OUTPUT before the first run. NibRun.n = rows. Bit-exact and
// independent of order: the bytes are the same for every split of a stream into runs and every order of the runs.
// Histograms merge by adding their counts.
//
// A histogram has S = NIB_LOG_HISTOGRAM_SIDE(mantissa_bits) bins of each sign. Bin S counts zeros. A positive x is in
// bin S + k and a negative one in bin S - k, where k = ((bits of |x| in fp32) >> (23 - mantissa_bits)) -
// 2^mantissa_bits
// + 1: each binade [2^e, 2^(e+1)) has 2^mantissa_bits bins of equal width. Denormals of fp32 and bfloat16 are zeros.
// NaN and infinite elements are in no bin; NIB_OP_HISTOGRAM and NIB_OP_MINMAX count them.
typedef struct NibLogHistogramDesc {
  uint32_t op;          // NIB_OP_LOG_HISTOGRAM
  uint32_t desc_bytes;  // sizeof(NibLogHistogramDesc)
  uint32_t flags;       // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t granularity;    // TENSOR or COLUMN
  uint32_t mantissa_bits;  // at most NIB_LOG_HISTOGRAM_MAX_BITS; COLUMN: NIB_LOG_HISTOGRAM_MAX_COLUMN_BITS
} NibLogHistogramDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_LOG_HISTOGRAM_H
