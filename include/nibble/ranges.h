// Ranges of codes from collected statistics, computed on the host in fp64.
#ifndef NIBBLE_RANGES_H
#define NIBBLE_RANGES_H

#include <nibble/ops/histogram.h>
#include <nibble/ops/minmax.h>
#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// How a range is found from a histogram. Bins are read up to the last one that is not empty, L of them on a side. Edge
// k lies at k * width.
typedef enum NibRangeMethod {
  NIB_RANGE_MINMAX = 0,  // smallest and largest value
  // ONNX Runtime's percentile. SYMMETRIC: the edge below the bin in which the counts of |x|, summed from zero, reach
  // `percentile` per cent. Else the edges below the bins in which the counts reach (100 - percentile) / 2 and 100 minus
  // that. 100 is MINMAX.
  NIB_RANGE_PERCENTILE = 1,
  // The least sum of count * (centre - its int8 approximation)^2. SYMMETRIC: thresholds at the centres of bins 128..L-1
  // of |x|, as in the histogram calibrator of Model-Optimizer. Else k/128 times the smallest and largest value, k =
  // 32..128. Ties: the first.
  NIB_RANGE_MSE = 2,
  // ONNX Runtime's entropy calibrator with 128 levels, on the signed histogram: ranges of the 2i + 1 bins around edge
  // 0, i = 64..L. Outliers join the outermost bins of the reference only; q is truncated to whole counts; zeros are
  // smoothed by 1e-4. Ties: the first.
  NIB_RANGE_ENTROPY_ORT = 3,
  // TensorRT's entropy calibrator as in Model-Optimizer, on |x|, with 128 levels: bin 0 counts as many as bin 1;
  // candidates are edges 128..L; empty bins stay empty. Ties: the last.
  NIB_RANGE_ENTROPY_TRT = 4,
  NIB_RANGE_METHOD_MAX_ENUM = 0x7fffffff
} NibRangeMethod;

enum {
  // max is the threshold on |x|, min = -max. Without it 0 lies inside the range.
  NIB_RANGE_SYMMETRIC = 1u << 0
};

typedef struct NibRangeDesc {
  uint32_t struct_bytes;  // sizeof(NibRangeDesc)
  uint32_t method;        // NibRangeMethod
  uint32_t flags;         // NIB_RANGE_*
  uint32_t reserved;      // 0
  double percentile;      // PERCENTILE: above 50, at most 100; else ignored
} NibRangeDesc;

typedef struct NibRange {
  uint32_t struct_bytes;  // sizeof(NibRange), set by the caller
  uint32_t reserved;
  double min, max;    // within the smallest and largest value
  int32_t low_edge;   // edge before the range was limited to these values, in widths; MINMAX: 0
  int32_t high_edge;  // MSE: the bin whose centre it is; MSE without SYMMETRIC: k
  double score;       // ENTROPY: the divergence; MSE: the mean squared error by the histogram; else 0
} NibRange;

// Finds the range of one histogram: its head and its counts[bins], as NIB_OP_HISTOGRAM writes them with the flags
// histogram_flags. No finite value, or zeros only: min = max = 0. MSE and ENTROPY with fewer than 128 bins up to the
// last one, and ENTROPY_ORT if no range has a finite divergence, give the range of MINMAX. A range that ends within one
// width of 0 on either side, because outliers made the histogram that wide, becomes one width on both sides.
// ENTROPY_ORT, and any method without SYMMETRIC, needs signs: a SIGNED histogram, or one without negative values.
// Allocates nothing. Thread-safe.
NibResult nibFindRange(const NibRangeDesc* desc, uint32_t bins, uint32_t histogram_flags, const NibHistogramHead* head,
                       const uint64_t* counts, const NibLog* log, NibRange* out_range);

// Exponential moving averages of the extents of successive batches: m += constant * (new - m); the first batch starts
// them. They depend on the order, so averages of two streams cannot be merged. All zeros = no batches. Never grows.
typedef struct NibEma {
  double min;
  double max;
  uint64_t batches;
} NibEma;
// Adds the extent of the next batch. Do not pass extents without a finite value. Thread-safe for distinct averages.
void nibEmaAdd(NibEma* ema, const NibExtent* extent, double constant);

// Scale and zero point of static quantization to NIB_FORMAT_INT8 (full range: (max - min) / 255; SYMMETRIC: max /
// 127.5, zero point 0) or NIB_FORMAT_FP8 (largest magnitude / 448). Quotients are those of NIB_OP_QUANTIZE. flags:
// NIB_RANGE_*. An empty range gives scale 0. Thread-safe.
NibResult nibRangeScale(uint32_t format, uint32_t flags, double min, double max, const NibLog* log, float* out_scale,
                        int32_t* out_zero_point);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_RANGES_H
