// A matrix that is a part of a tensor, or is stored transposed.
#ifndef NIB_MODEL_QUANTIZE_SLICE_H
#define NIB_MODEL_QUANTIZE_SLICE_H

#include "model/archive/checkpoint.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace nib::model {

// Element (row, column) of the matrix is element first + row * row_stride + column * column_stride of the tensor.
struct Slice {
  uint64_t first = 0;
  uint64_t row_stride = 0;
  uint64_t column_stride = 1;
};

// Reads elements [begin, begin + count), row by row, of a matrix with `cols` columns. One of the strides is 1.
// element_bytes: 2 or 4. Throws.
void readSlice(const Checkpoint& checkpoint, size_t tensor, const Slice& slice, uint32_t cols, uint32_t element_bytes,
               uint64_t begin, uint64_t count, std::span<std::byte> out);

}  // namespace nib::model
#endif
