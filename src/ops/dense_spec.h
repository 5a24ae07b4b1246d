// How kernels may walk a dense operand.
#ifndef NIB_OPS_DENSE_SPEC_H
#define NIB_OPS_DENSE_SPEC_H

#include <cstdint>

namespace nib {

// Loads and stores of four elements: every row starts at a multiple of four and ends at one. Ranges begin at multiples of 16 bytes.
inline bool vectorized(uint32_t rows, uint32_t cols, uint32_t stride) {
  return cols % 4u == 0 && (rows == 1 || stride % 4u == 0);
}

}  // namespace nib
#endif
