// A product of int8 codes, as ops pass it to its reference and to its kernels.
#ifndef NIB_REFERENCE_INT8_PRODUCT_H
#define NIB_REFERENCE_INT8_PRODUCT_H

#include <memory>

#include "reference/reference.h"

namespace nib {

struct Int8Product {
  NibInt8GemmDesc desc;                               // batch, input_stride and result_stride are never 0 here
  Geometry weights;                                   // of all matrices of the batch
  Geometry input;                                     // row_words and offsets include input_stride
  uint32_t segment;                                   // columns that share scales: their integer sum is scaled once
  bool grouped;                                       // an operand has more than one scale per row
  uint64_t bias_offset, table_offset, weights_bytes;  // 0 = absent
  uint64_t output_bytes;
  uint64_t outliers_offset;  // of the outlier lists in the input's blob
  uint32_t max_outliers;     // per token; 0 = no lists
};

inline bool isInt8Code(uint32_t result_type) {
  return result_type == NIB_INT8_RESULT_I8 || result_type == NIB_INT8_RESULT_U8;
}
inline uint32_t int8ResultBytes(uint32_t type) {
  if (isInt8Code(type)) return 1;
  return type == NIB_TYPE_F16 || type == NIB_TYPE_BF16 ? 2 : 4;
}
// Activations that are not piecewise linear: results in codes take them from a table, float results compute them
// within an error bound.
inline bool isSmooth(uint32_t activation) { return activation >= NIB_ACTIVATION_GELU; }
inline bool hasTable(const NibInt8GemmDesc& d) { return isInt8Code(d.result_type) && isSmooth(d.activation); }

// Results are within an error bound instead of bit-exact.
inline bool isBounded(const NibInt8GemmDesc& d) { return isSmooth(d.activation) && !isInt8Code(d.result_type); }

// Error bound of smooth activations, relative to their argument.
inline constexpr double kInt8Bound = 0x1p-19;

// Words of a token's outlier list: the count, then a column and fp32 bits for each outlier.
inline uint32_t listWords(uint32_t max_outliers) { return 1u + 2u * max_outliers; }

namespace reference {

// Addresses of the operands of a product. Absent parts are not read.
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
  uint32_t first_input;  // the run's first token in the input
  uint32_t first_row;    // the run's first token in the output
};

// The operands of a binding. outliers is NULL.
Int8Operands int8Operands(const NibMemory& memory, const NibCpuBinding& binding, uint32_t first_row);

inline constexpr uint32_t kDotRows = 8;    // the most channels of a block of products
inline constexpr uint32_t kDotLanes = 32;  // codes are followed by zeros up to a multiple of it
// Adds to sums[t][r] the products of `count` codes of token t and channel r, which begin at x + t * stride and w + r *
// stride. Sums stay below 2^31.
using AddDots = void (*)(const int16_t* w, uint32_t w_count, const int16_t* x, uint32_t x_count, uint32_t stride,
                         uint32_t count, int32_t (*sums)[kDotRows]);

// Computes the scaled sums of some tokens faster: rows of the input's codes.
class ScaledSums {
 public:
  virtual ~ScaledSums() = default;
  // Sets y[t][r], as fp32 bits, to the scaled sums of token t and weight row w_row + r, w_count of them. False: the
  // reference computes them, and y may hold anything.
  virtual bool find(uint32_t w_row, uint32_t w_count, uint32_t (*y)[kDotRows]) const = 0;
};
// Tokens x_row..x_row + x_count-1. NULL: the reference computes them.
using MakeScaledSums = std::unique_ptr<ScaledSums> (*)(const Int8Product& product, const Int8Operands& operands,
                                                       uint32_t x_row, uint32_t x_count);

// Faster functions for the sums; NULL = the reference's.
struct Int8Steps {
  AddDots add = nullptr;
  MakeScaledSums sums = nullptr;
};
void int8Product(const Int8Product& product, const Int8Operands& operands, uint32_t n, const NibParallelFor* parallel,
                 const Int8Steps& steps = {});

}  // namespace reference
}  // namespace nib
#endif
