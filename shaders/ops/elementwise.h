// Interface of elementwise.comp: elementwise sums, products, multiples, gated products and soft caps.
//   WG           invocations of a workgroup, a power of two
//   OCTETS       runs of eight elements per invocation, 1 to 4
//   KIND         NibElementwiseKind
//   ACTIVATION   NibActivation of the gate
//   SOURCE_TYPE  NibType of the source
//   SECOND_TYPE  NibType of the second operand
//   RESULT_TYPE  NibType of the result
//   VEC          the rows of every operand allow loads and stores of four elements
//   WIDE         those of 16-bit types allow loads and stores of eight elements
//   FULL         every run is whole: cols is a multiple of eight
//   FLATTEN      every operand is one row of rows * cols elements
#ifndef NIB_OPS_ELEMENTWISE_H
#define NIB_OPS_ELEMENTWISE_H

#include "common/interface.h"

#define ELEMENTWISE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, OCTETS, 2u) \
  X(2, uint, KIND, 0u) \
  X(3, uint, ACTIVATION, 0u) \
  X(4, uint, SOURCE_TYPE, 0u) \
  X(5, uint, SECOND_TYPE, 0u) \
  X(6, uint, RESULT_TYPE, 0u) \
  X(7, nib_bool, VEC, false) \
  X(8, nib_bool, WIDE, false) \
  X(9, nib_bool, FULL, false) \
  X(10, nib_bool, FLATTEN, false)

#ifdef __cplusplus
namespace nib {
#endif
struct ElementwisePush {
  NibPushHead head;
  uint cols;
  uint source_stride;  // elements from row to row
  uint second_stride;  // 0: one row
  uint result_stride;
  uint second_first;   // elements from the second operand's first word to its first element
  uint source_word;    // first words of parts
  uint second_word;
  uint result_word;
  uint factor_bits;  // fp32
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
