// NIB_OP_HADAMARD: orthogonal transforms of rows by Hadamard matrices, which spread outliers (QuaRot, arXiv
// 2404.00456).
#ifndef NIBBLE_OPS_HADAMARD_H
#define NIBBLE_OPS_HADAMARD_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_HADAMARD 26u

// NibHadamardDesc.flags

// WEIGHTS holds NIB_PART_SIGNS, fp32[cols]: an element whose column's number is negative changes its sign before the
// transform.
#define NIB_HADAMARD_SIGNS (1u << 0)

// INPUT dense [run rows, cols] in NIB_PART_SOURCE -> OUTPUT NIB_PART_RESULT dense [rows, cols]. NibRun.n = rows of the
// run, which become rows first_row.. of OUTPUT. RESULT may be SOURCE in place, if both have the same type and stride,
// and first_row is 0.
//
// Each `size` neighbours of a row, a block x, become H x / sqrt(size), with H a Hadamard matrix of that order: entries
// 1 and -1, rows orthogonal. So the transform is orthogonal, and the same for every block. H is the Kronecker product
// of a matrix of order K0 = nibHadamardOrder(size) and Sylvester's matrix of order L = size / K0, a power of two, in
// natural order: with x as [K0, L], butterflies along the last axis, then the matrix of order K0 across the first.
// K0 is 1 for powers of two. For others it is the least order size / 2^m, at most 1024, for which one of these is
// known:
//   Paley I, q + 1 for a prime q = 3 mod 4:            I + S, S = [[0, 1], [-1, X]], X[i][j] = chi(i - j)
//   Paley II, 2 (q + 1) for a prime q = 1 mod 4:       C = [[0, 1], [1, X]] with 0 replaced by [[1, -1], [-1, -1]],
//                                                      and 1, -1 by [[1, 1], [1, -1]] times that
//   Williamson, 172: circulant blocks
// with chi the quadratic character modulo q, and Paley I before Paley II. For Paley I and Williamson H is not
// symmetric. Thus 12, 20, 28, 36, 44, 60, 68, 76, 84, 108, 124, 140, 148, 172, 180 and more, which cover the hidden and
// intermediate sizes of most models (3584 = 28 * 128, 11008 = 172 * 64, 14336 = 28 * 512, 18944 = 148 * 128).
//
// Bounded: before it is rounded to its type, half-even, a result differs from the exact one by at most
//   (log2 L + K0 + 4) * 2^-23 * sum of |x| / sqrt(size) over its block + 2^-126
// (K0 = 1 counts as 0). Elements are summed in fp32. Results are the same from run to run on one device. Results of a
// block whose elements are not all finite, or whose sum of |x| is beyond fp32, are undefined.
// A block of up to 4096 elements, or of as many as shared memory holds, takes one dispatch, a longer one two, for which
// AUX has scratch: fp32 [run rows, cols] if size is more than 4096.
typedef struct NibHadamardDesc {
  uint32_t op;             // NIB_OP_HADAMARD
  uint32_t desc_bytes;     // sizeof(NibHadamardDesc)
  uint32_t flags;          // NIB_HADAMARD_*
  uint32_t rows;           // the most rows of a run
  uint32_t cols;           // a multiple of size
  uint32_t size;           // of a block: even, with nibHadamardOrder(size) != 0; 0 = cols
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // 0 = cols
} NibHadamardDesc;

// K0 of the transform of that size; 0 if there is none, which is refused. Thread-safe.
NIB_API uint32_t nibHadamardOrder(uint32_t size);
// The transform of one block in double precision, in place, for weights that are transformed beforehand: for a layer
// whose inputs become H x, every row w of its weights becomes H w, as w . x = (H w) . (H x). signs: NULL, or `size`
// numbers of which the negative ones change signs of x first. NIB_ERROR_UNSUPPORTED if there is none of that size.
// Thread-safe.
NIB_API NibResult nibHadamardTransform(double* x, uint32_t size, const float* signs);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_HADAMARD_H
