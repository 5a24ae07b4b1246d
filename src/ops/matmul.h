// A product of weights and dense activations, validated: what its reference and its kernels share.
#ifndef NIB_OPS_MATMUL_H
#define NIB_OPS_MATMUL_H

#include "ops/geometry.h"
#include "ops/matmul_tiles.h"

namespace nib {

struct Matmul {
  Geometry g;                // of batch * rows rows; dense weights have no format
  ProductShape shape;
  uint32_t input_stride, result_stride;
  uint32_t row_words;        // words and scales from row to row, of FLAT too
  uint32_t scale_row_stride;
  uint64_t bias_offset;      // in WEIGHTS
  uint64_t order_offset;     // in WEIGHTS
  uint64_t sums_bytes;       // in AUX: sums of parts of the columns
  uint64_t copy_offset;      // and the copy of activations that are not aligned for wide loads, or in another order
  uint64_t decoded_offset;   // and what codes of activations stand for
  uint64_t scratch_bytes;    // of all three
  NibDequantizeDesc decode;  // of activations, of all matrices
  NibMemory decode_memory;
  bool coded;                // activations are codes
  bool ordered;
  bool copied;
  bool flat;
};

NibResult makeMatmul(const NibMatmulDesc& desc, const Log& log, Matmul* out);

}  // namespace nib
#endif
