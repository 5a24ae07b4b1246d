// Validation and memory of NIB_OP_MATMUL.
#ifndef NIB_OPS_MATMUL_H
#define NIB_OPS_MATMUL_H

#include "ops/matmul_tiles.h"
#include "reference/matmul.h"

namespace nib {

struct Matmul : MatmulOperands {
  ProductShape shape;
  uint32_t scale_row_stride;  // also of FLAT weights
  uint64_t bias_offset;      // in WEIGHTS
  uint64_t order_offset;     // in WEIGHTS
  uint64_t sums_bytes;       // in AUX: sums of parts of the columns
  uint64_t copy_offset;      // and the copy of activations that are not aligned for wide loads, or in another order
  uint64_t scratch_bytes;    // with decoded activations
  bool ordered;
  bool copied;
};

NibResult makeMatmul(const NibMatmulDesc& desc, const Log& log, Matmul* out);

}  // namespace nib
#endif
