// A product of int8 codes as ops describe it to its reference and to its kernels.
#ifndef NIB_REFERENCE_INT8_PRODUCT_H
#define NIB_REFERENCE_INT8_PRODUCT_H

#include "reference/reference.h"

namespace nib {

struct Int8Product {
  NibInt8GemmDesc desc;  // batch, input_stride and result_stride are never 0 here
  Geometry weights;      // of all matrices
  Geometry input;        // its row_words and offsets are those of the stride
  uint32_t piece;        // columns whose sum is scaled as one
  bool grouped;          // more than one piece, or scales of groups
  uint64_t bias_offset, table_offset, weights_bytes;  // 0 = absent
  uint64_t output_bytes;
  uint64_t outliers_offset;  // in the input's blob: lists of elements that are not among its codes
  uint32_t max_outliers;     // 0 = no lists
};

inline bool isInt8Code(uint32_t result_type) {
  return result_type == NIB_INT8_RESULT_I8 || result_type == NIB_INT8_RESULT_U8;
}
inline uint32_t int8ResultBytes(uint32_t type) {
  if (isInt8Code(type)) return 1;
  return type == NIB_TYPE_F16 || type == NIB_TYPE_BF16 ? 2 : 4;
}
// Activations that are no piecewise lines: codes take them from a table, floats compute them within a bound.
inline bool isSmooth(uint32_t activation) { return activation >= NIB_ACTIVATION_GELU; }
inline bool hasTable(const NibInt8GemmDesc& d) { return isInt8Code(d.result_type) && isSmooth(d.activation); }

// Floats within a bound instead of exact bytes.
inline bool isBounded(const NibInt8GemmDesc& d) { return isSmooth(d.activation) && !isInt8Code(d.result_type); }

// Of smooth activations, of what they are given.
inline constexpr double kInt8Bound = 0x1p-19;

// A token's list of outliers, in words: how many, then a column and an fp32 pattern for each.
inline uint32_t listWords(uint32_t max_outliers) { return 1u + 2u * max_outliers; }

namespace reference {

// Where the operands of a product lie. Parts that it does not have are not read.
struct Int8Operands {
  const void* weights_codes;
  const void* weights_scales;
  const void* weights_zeros;
  const void* bias;
  const void* table;
  const void* input_codes;
  const void* input_scales;
  const void* input_zeros;
  const void* outliers;
  void* output;
  uint32_t first_input;  // the token of the input that the run begins with
  uint32_t first_row;    // and where its results begin
};

// Operands that a binding has.
Int8Operands int8Operands(const NibMemory& memory, const NibCpuBinding& binding, uint32_t first_row);

void int8Product(const Int8Product& product, const Int8Operands& operands, uint32_t n, const NibParallelFor* parallel);

}  // namespace reference
}  // namespace nib
#endif
