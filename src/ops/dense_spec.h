// Which wide loads and stores a kernel may use for a dense operand. Ranges begin at multiples of 16 bytes.
#ifndef NIB_OPS_DENSE_SPEC_H
#define NIB_OPS_DENSE_SPEC_H

#include <cstdint>

namespace nib {

// Accesses of four elements: every row starts and ends at a multiple of four elements.
inline bool vectorized(uint32_t rows, uint32_t cols, uint32_t stride) {
  return cols % 4u == 0 && (rows == 1 || stride % 4u == 0);
}

// Accesses of eight elements, only of 16-bit types.
inline bool wide(uint32_t rows, uint32_t cols, uint32_t stride, uint64_t element_bytes) {
  return element_bytes == 2 && cols % 8u == 0 && (rows == 1 || stride % 8u == 0);
}

}  // namespace nib
#endif
