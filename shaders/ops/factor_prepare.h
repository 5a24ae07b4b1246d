// Interface of factor_prepare.comp: the upper triangle of the matrix that is factored.
//   WG     invocations of a workgroup, a power of two
//   ORDER  columns are permuted
#ifndef NIB_SHADERS_OPS_FACTOR_PREPARE_H
#define NIB_SHADERS_OPS_FACTOR_PREPARE_H

#include "common/interface.h"

#define FACTOR_PREPARE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, nib_bool, ORDER, false)

#ifdef __cplusplus
namespace nib {
#endif
struct FactorPreparePush {
  NibPushHead head;
  uint cols;
  uint source_word;  // first words of parts
  uint result_word;
  uint order_word;
  uint info_word;
  uint window_row;  // first row of the source's window
  uint window_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
