// Interface of norm.comp: RMS norm and layer norm of rows.
//   WG             invocations of a workgroup, a power of two
//   KEEP           runs of eight elements that an invocation keeps in registers
//   MORE           rows are longer than that: they are read again in every pass
//   SOURCE_TYPE    NibType of the source
//   RESIDUAL_TYPE  NibType of the residual and of the sum
//   RESULT_TYPE    NibType of the result
//   VEC            all rows allow loads and stores of four elements
//   WIDE           rows of a 16-bit source allow loads of eight elements
//   MEAN           the mean is subtracted
//   GAIN           there is a gain
//   BIAS           there is a bias
//   RESIDUAL       a residual is added to the source, and the sum stored
//   SUM            that is all
//   WHOLE          binding 2 is all of OUTPUT, from row 0 on; else it holds the result (SUM: the sum) from the run's
//                  first row on, and binding 3 the scales of codes
#ifndef NIB_OPS_NORM_H
#define NIB_OPS_NORM_H

#include "common/interface.h"

#define NORM_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, KEEP, 1u) \
  X(2, nib_bool, MORE, false) \
  X(3, uint, SOURCE_TYPE, 0u) \
  X(4, uint, RESIDUAL_TYPE, 0u) \
  X(5, uint, RESULT_TYPE, 0u) \
  X(6, nib_bool, VEC, false) \
  X(7, nib_bool, WIDE, false) \
  X(8, nib_bool, MEAN, false) \
  X(9, nib_bool, GAIN, false) \
  X(10, nib_bool, BIAS, false) \
  X(11, nib_bool, RESIDUAL, false) \
  X(12, nib_bool, SUM, false) \
  X(13, nib_bool, WHOLE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct NormPush {
  NibPushHead head;
  uint cols;
  uint source_stride;  // elements from row to row
  uint residual_stride;
  uint result_stride;  // codes: words from row to row
  uint source_word;    // first words of parts
  uint residual_in_word;
  uint residual_out_word;
  uint result_word;
  uint scales_word;
  uint gain_word;
  uint bias_word;
  uint epsilon_bits;  // fp32
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
