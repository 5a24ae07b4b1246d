// Ranges of codes from collected statistics, computed on the host in fp64.
#ifndef NIBBLE_RANGES_H
#define NIBBLE_RANGES_H

#include <nibble/ops/histogram.h>
#include <nibble/ops/log_histogram.h>
#include <nibble/ops/minmax.h>
#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// Statistics of one tensor or channel: a histogram as NIB_OP_HISTOGRAM writes it and, beside it, log-spaced counts of
// the same values, as NIB_OP_LOG_HISTOGRAM writes them. The widths of the histogram's bins grow with the largest value,
// those of the log-spaced bins with the values that they count, so that one massive value does not blur the others.
typedef struct NibRangeData {
  uint32_t struct_bytes;         // sizeof(NibRangeData)
  uint32_t bins;                 // of the histogram
  uint32_t histogram_flags;      // NIB_HISTOGRAM_*; with log_counts: SIGNED
  uint32_t mantissa_bits;        // of log_counts
  const NibHistogramHead* head;  // one
  const uint64_t* counts;        // [bins]
  const uint64_t* log_counts;    // [NIB_LOG_HISTOGRAM_BINS(mantissa_bits)]; NULL = none
} NibRangeData;

// How a range is found. Bins of the histogram are read up to the last one that is not empty, L of them on a side. Edge
// k lies at k * width.
//
// Cells: with log_counts the edges of both kinds of bins divide each side of zero into cells, whose counts follow
// exactly. Values are spread evenly over their cell: the i-th of c, from 0, lies at (i + 1/2) / c of its width. A cell
// ends at the smallest and the largest value. With 9 mantissa bits it is at most 1/512 of its values wide, so no value
// is off by more than that.
//
// Coarse bins: MSE and ENTROPY try ranges from 128 bins on. If L is at most 128, or 99.9 per cent of the |x| are in the
// first 128 bins (rank 0.999 * (count - 1), rounded down), the bins are too wide for them. The range then has
// NIB_RANGE_COARSE, and is found from the cells if there are any.
typedef enum NibRangeMethod {
  NIB_RANGE_MINMAX = 0,  // smallest and largest value
  // With log_counts: numpy's percentile, which interpolates linearly between the two values next to rank
  // percentile / 100 * (count - 1), of |x| if SYMMETRIC, else at both ends, (100 - percentile) / 2 and 100 minus that.
  // If these are 0 although not all values are: the same of the others.
  // Without: ONNX Runtime's percentile. SYMMETRIC: the edge below the bin in which the counts of |x|, summed from zero,
  // reach `percentile` per cent. Else the edges below the bins in which the counts reach these two shares. COARSE if it
  // ends within 128 bins of 0. 100 is MINMAX.
  NIB_RANGE_PERCENTILE = 1,
  // The least sum of count * (centre - its int8 approximation)^2. SYMMETRIC: thresholds at the centres of bins 128..L-1
  // of |x|, as in the histogram calibrator of Model-Optimizer. Else k/128 times the smallest and largest value, k =
  // 32..128. COARSE with cells: thresholds t = largest |x| * 2^(-i/32) down to 1/16 of the 99.9th percentile of |x|;
  // ranges from -t to t or, without SYMMETRIC, the part of that within the smallest and largest value. A cell's error
  // is the mean over its width. Ties: the first.
  NIB_RANGE_MSE = 2,
  // ONNX Runtime's entropy calibrator with 128 levels, on the signed histogram: ranges of the 2i + 1 bins around edge
  // 0, i = 64..L. Outliers join the outermost bins of the reference only; q is truncated to whole counts; zeros are
  // smoothed by 1e-4. Ties: the first. COARSE with cells: of a finer histogram made from them, with
  // NIB_HISTOGRAM_MAX_BINS bins that span as far as the least power of two from twice the 99.9th percentile of |x| on.
  // Values beyond count in its outermost bins.
  NIB_RANGE_ENTROPY_ORT = 3,
  // TensorRT's entropy calibrator as in Model-Optimizer, on |x|, with 128 levels: bin 0 counts as many as bin 1;
  // candidates are edges 128..L; empty bins stay empty. Ties: the last. COARSE with cells: of the same finer histogram.
  NIB_RANGE_ENTROPY_TRT = 4,
  NIB_RANGE_METHOD_MAX_ENUM = 0x7fffffff
} NibRangeMethod;

// NibRangeDesc.flags: max is the threshold on |x|, min = -max. Without it 0 lies inside the range.
#define NIB_RANGE_SYMMETRIC (1u << 0)
// NibRange.flags: the histogram's bins are too wide for the method. Without log_counts the range is not reliable.
#define NIB_RANGE_COARSE (1u << 1)

typedef struct NibRangeDesc {
  uint32_t struct_bytes;  // sizeof(NibRangeDesc)
  uint32_t method;        // NibRangeMethod
  uint32_t flags;         // NIB_RANGE_SYMMETRIC
  uint32_t reserved;      // 0
  double percentile;      // PERCENTILE: above 50, at most 100; else ignored
} NibRangeDesc;

typedef struct NibRange {
  uint32_t struct_bytes;  // sizeof(NibRange), set by the caller
  uint32_t flags;         // NIB_RANGE_COARSE
  double min, max;        // within the smallest and largest value
  // Edge before the range was limited to these values, in widths of the histogram that it was found from. MINMAX, and
  // ranges from cells but ENTROPY's: 0.
  int32_t low_edge;
  int32_t high_edge;  // MSE: the bin whose centre it is; MSE without SYMMETRIC: k
  double score;       // ENTROPY: the divergence; MSE: the mean squared error by the histogram or the cells; else 0
} NibRange;

// Finds the range of one histogram. No finite value, or zeros only: min = max = 0. Without log_counts: MSE and ENTROPY
// with at most 128 bins up to the last one give the range of MINMAX, and a range that ends within one width of 0 on
// either side becomes one width on both sides. ENTROPY_ORT gives the whole range if no candidate has a finite
// divergence. ENTROPY_ORT, and any method without SYMMETRIC, needs signs: a SIGNED histogram, or one without negative
// values. Allocates nothing; uses 40 kB of stack. Thread-safe.
NIB_API NibResult nibFindRange(const NibRangeDesc* desc, const NibRangeData* data, const NibLog* log,
                               NibRange* out_range);

// The share of the finite values that lie below min or above max, from 0 to 1: values are spread evenly over the cells,
// or without log_counts over the histogram's bins. Needs a SIGNED histogram. 0 lies within min and max.
// Thread-safe.
NIB_API NibResult nibClippedShare(const NibRangeData* data, double min, double max, const NibLog* log,
                                  double* out_share);

// Exponential moving averages of the extents of successive batches: m += constant * (new - m); the first batch starts
// them. They depend on the order, so averages of two streams cannot be merged. All zeros = no batches. Never grows.
typedef struct NibEma {
  double min;
  double max;
  uint64_t batches;
} NibEma;
// Adds the extent of the next batch. Do not pass extents without a finite value. Thread-safe for distinct averages.
NIB_API void nibEmaAdd(NibEma* ema, const NibExtent* extent, double constant);

// Scale and zero point of static quantization to NIB_FORMAT_INT8 (full range: (max - min) / 255; SYMMETRIC: max /
// 127.5, zero point 0) or NIB_FORMAT_FP8 (largest magnitude / 448). Quotients are those of NIB_OP_QUANTIZE. flags:
// NIB_RANGE_*. An empty range gives scale 0. Thread-safe.
NIB_API NibResult nibRangeScale(uint32_t format, uint32_t flags, double min, double max, const NibLog* log,
                                float* out_scale, int32_t* out_zero_point);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_RANGES_H
