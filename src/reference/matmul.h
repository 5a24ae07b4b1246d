// A product of weights and dense activations as its op describes it to the reference.
#ifndef NIB_REFERENCE_MATMUL_H
#define NIB_REFERENCE_MATMUL_H

#include "reference/reference.h"

namespace nib {

struct MatmulOperands {
  Geometry g;                           // of batch * rows rows; dense weights have no format
  uint32_t batch;                       // at least 1
  uint32_t input_stride, result_stride;
  uint32_t row_words;                   // words from row to row, also of FLAT weights
  bool flat;
  bool coded;                           // activations are codes
  NibDequantizeDesc decode;             // of activations, of all matrices
  NibMemory decode_memory;
  uint64_t decoded_offset;              // in AUX: decoded activations
};

void matmulReference(const NibMatmulDesc& desc, const MatmulOperands& operands, const HostRun& run);

}  // namespace nib
#endif
