// NIB_OP_ERRORS: the loss of one dense matrix against another.
#ifndef NIBBLE_OPS_ERRORS_H
#define NIBBLE_OPS_ERRORS_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_ERRORS 5u

#define NIB_ERROR_TILE 1024u

// INPUT holds two dense matrices [rows, cols], the reference x (NIB_PART_REFERENCE) and the candidate y
// (NIB_PART_CANDIDATE) -> OUTPUT one NibErrorTile per NIB_ERROR_TILE elements in row-major order, across the ends of
// rows; the last tile is shorter. NibRun.n = rows. nibErrorsAdd and nibErrorsFinish make totals from the tiles.
// Bit-exact: sums are taken in one fixed order, in pairs of fp32.
typedef struct NibErrorsDesc {
  uint32_t op;          // NIB_OP_ERRORS
  uint32_t desc_bytes;  // sizeof(NibErrorsDesc)
  uint32_t flags;       // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t reference_type;    // NibType F32, F16 or BF16
  uint32_t reference_stride;  // elements from row to row; 0 = cols
  uint32_t candidate_type;
  uint32_t candidate_stride;
} NibErrorsDesc;

// Pairs with a NaN or infinity are counted and left out of the rest. Denormals of fp32 and bfloat16 are zeros.
// Each sum is high + low times a power of two. With 2^e the factor that brings the largest value of its kind to
// [2^30, 2^31) - errors: e = (max_error >> 23) - 221; x and y: e = exponent field - 157 - the factor is 2^e for
// magnitudes, 2^(2e) for squares and 2^(e of x + e of y) for products. Against exact sums of the same elements the
// error is at most 2^-40 of the sum; for products, of the root of the product of both sums of squares.
typedef struct NibErrorTile {
  uint32_t finite_count;
  uint32_t nonfinite_count;
  uint32_t max_error;  // largest |x - y| rounded to 24 bits: an fp32 pattern of |x - y| * 2^64 with 9 exponent bits
  uint32_t max_error_index;       // row * cols + col of its first occurrence; UINT32_MAX where max_error is 0
  float max_reference;            // largest |x|
  float max_candidate;            // largest |y|
  float error_squares[2];         // sum of (x - y)^2: {high, low}
  float error_magnitudes[2];      // of |x - y|
  float reference_squares[2];     // of x^2
  float candidate_squares[2];     // of y^2
  float products[2];              // of x y
  float reference_magnitudes[2];  // of |x|
} NibErrorTile;

// Totals of tiles. All zeros = no tiles. Never grows.
typedef struct NibErrorSums {
  uint64_t finite_count;
  uint64_t nonfinite_count;
  uint64_t max_error_index;
  double max_error;
  double max_reference;
  double max_candidate;
  double error_squares;
  double error_magnitudes;
  double reference_squares;
  double candidate_squares;
  double products;
  double reference_magnitudes;
} NibErrorSums;

typedef struct NibErrors {
  uint32_t struct_bytes;  // sizeof(NibErrors), set by the caller
  uint32_t reserved;
  uint64_t elements;         // pairs of finite values, which all fields below describe
  uint64_t nonfinite_count;  // pairs left out
  double max_error;          // largest |x - y|, rounded to 24 bits
  uint64_t max_error_index;  // of its first occurrence; 0 if there is no error
  double max_reference;      // largest |x|
  double mse;                // mean of (x - y)^2
  double mae;                // mean of |x - y|
  double relative_error;     // sum of |x - y| / sum of |x|; 0 without error, infinite if only x is zero
  double sqnr_db;            // 10 log10(sum of x^2 / sum of (x - y)^2); +infinity without error, -infinity if x is zero
  double cosine;  // sum of x y / sqrt(sum of x^2 * sum of y^2), within -1..1; 1 if both are zero, 0 if one is
} NibErrors;

// Adds `count` tiles to `sums`, in their order, in fp64. first_element: the number of elements before the first tile,
// for a tensor that is split into runs. Totals equal those of one run if the splits are at multiples of NIB_ERROR_TILE.
// Thread-safe for distinct sums.
NIB_API void nibErrorsAdd(NibErrorSums* sums, const NibErrorTile* tiles, uint64_t count, uint64_t first_element);
// Thread-safe. NIB_ERROR_INVALID_ARGUMENT if struct_bytes is not set.
NIB_API NibResult nibErrorsFinish(const NibErrorSums* sums, NibErrors* out_errors);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_ERRORS_H
