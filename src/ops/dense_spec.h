// How kernels may walk a dense operand.
#ifndef NIB_OPS_DENSE_SPEC_H
#define NIB_OPS_DENSE_SPEC_H

#include <cstdint>

namespace nib {

// Loads and stores of four elements: every row starts at a multiple of four and ends at one. Ranges begin at multiples of 16 bytes.
inline bool vectorized(uint32_t rows, uint32_t cols, uint32_t stride) {
  return cols % 4u == 0 && (rows == 1 || stride % 4u == 0);
}

// And, of 16-bit types, of eight.
inline bool wide(uint32_t rows, uint32_t cols, uint32_t stride, uint64_t element_bytes) {
  return element_bytes == 2 && cols % 8u == 0 && (rows == 1 || stride % 8u == 0);
}

}  // namespace nib
#endif
