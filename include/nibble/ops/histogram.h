// NIB_OP_HISTOGRAM: histograms of a dense matrix, exactly mergeable.
#ifndef NIBBLE_OPS_HISTOGRAM_H
#define NIBBLE_OPS_HISTOGRAM_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_HISTOGRAM 12u

// Bins on both sides of zero. Without it: bins of |x|.
#define NIB_HISTOGRAM_SIGNED (1u << 0)
// The run adds to the histograms that OUTPUT holds (from earlier runs, or zeros). Without it they begin empty.
#define NIB_HISTOGRAM_ACCUMULATE (1u << 1)

#define NIB_HISTOGRAM_MIN_BINS 128u
#define NIB_HISTOGRAM_MAX_BINS 4096u

// INPUT dense [rows, cols] -> OUTPUT a histogram per tensor, row or column, over the finite values: NIB_PART_HEADS, one
// NibHistogramHead each, and NIB_PART_COUNTS, uint64 [histograms, bins]. NibRun.n = rows; histograms of rows outside
// the run are left as they are. Bit-exact and independent of order: the bytes are the same for every split of a stream
// into runs and every order of the runs; merging with nibHistogramMerge gives them too.
//
// A histogram has H bins per side: all of them, or SIGNED half. With `exponent` E, the largest exponent field among the
// elements, they span [0, 2^(E-126)) in widths of 2^(E-126) / H. |x| belongs to bin floor(|x| / width), which is found
// from its exponent and mantissa bits. SIGNED: zeros and positive x are in bin H + that, negative x in bin H - 1 -
// that. When a larger value comes, E grows and neighbouring bins merge. Denormals of fp32 and bfloat16 are zeros.
typedef struct NibHistogramDesc {
  uint32_t op;          // NIB_OP_HISTOGRAM
  uint32_t desc_bytes;  // sizeof(NibHistogramDesc)
  uint32_t flags;       // NIB_HISTOGRAM_*
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t granularity;    // TENSOR, ROW or COLUMN
  uint32_t bins;           // a power of two from NIB_HISTOGRAM_MIN_BINS to NIB_HISTOGRAM_MAX_BINS
} NibHistogramDesc;

// All zeros = an empty histogram, with counts of zeros.
typedef struct NibHistogramHead {
  uint32_t exponent;  // E; 0 while there were only zeros, or nothing
  uint32_t reserved;  // 0
  float min;          // of finite elements; 0 without any. -0 counts as +0
  float max;
  uint64_t finite_count;
  uint64_t nonfinite_count;  // NaN and infinite elements, which are in no bin
} NibHistogramHead;

// Adds histogram `from` to `into`. Both have `bins` bins and the same flags (NIB_HISTOGRAM_SIGNED). The order of
// merging changes no byte. Returns NIB_ERROR_INVALID_ARGUMENT if `bins` is not a valid number of bins. Thread-safe for
// distinct `into`.
NIB_API NibResult nibHistogramMerge(uint32_t bins, uint32_t flags, NibHistogramHead* into, uint64_t* into_counts,
                                    const NibHistogramHead* from, const uint64_t* from_counts, const NibLog* log);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_HISTOGRAM_H
