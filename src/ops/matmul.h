// Validation and memory of NIB_OP_MATMUL.
#ifndef NIB_OPS_MATMUL_H
#define NIB_OPS_MATMUL_H

#include "ops/matmul_tiles.h"
#include "reference/matmul.h"

namespace nib {

struct Matmul : MatmulOperands {
  ProductShape shape;
  uint32_t scale_row_stride;  // also of FLAT weights
  uint64_t bias_offset;       // in WEIGHTS
  uint64_t order_offset;      // in WEIGHTS
  uint64_t sums_bytes;        // in AUX, from 0: sums of parts of the columns
  uint64_t copy_offset;       // in AUX: the copy of the activations
  uint64_t scratch_bytes;     // of AUX, with decoded activations
  bool ordered;               // NIB_PRODUCT_ORDER
  bool copied;                // activations are copied, to reorder them or to align them for wide loads
};

// Validates `desc` and fills *out.
NibResult makeMatmul(const NibMatmulDesc& desc, const Log& log, Matmul* out);

}  // namespace nib
#endif
