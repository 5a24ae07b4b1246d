// Arguments that NIB_OP_MATMUL passes to its reference with the description.
#ifndef NIB_REFERENCE_MATMUL_H
#define NIB_REFERENCE_MATMUL_H

#include "reference/reference.h"

namespace nib {

struct MatmulOperands {
  Geometry g;      // batch * rows rows; its format is NULL for dense weights
  uint32_t batch;  // at least 1
  uint32_t input_stride, result_stride;
  uint32_t row_words;  // words from one row of weights to the next, FLAT too
  bool flat;
  bool coded;                // the input is quantized
  NibDequantizeDesc decode;  // of the input of all matrices
  NibMemory decode_memory;
  uint64_t decoded_offset;  // of the decoded input in AUX
  uint32_t choices;         // 0 = each matrix has tokens of its own
};

void matmulReference(const NibMatmulDesc& desc, const MatmulOperands& operands, const HostRun& run);

}  // namespace nib
#endif
