// Interface of gptq_loss.comp: adds the squares of a block's errors to the loss of every row.
//   WG  invocations of a workgroup
#ifndef NIB_OPS_GPTQ_LOSS_H
#define NIB_OPS_GPTQ_LOSS_H

#include "common/interface.h"

#define GPTQ_LOSS_SPEC(X) X(0, uint, WG, 128u)

#ifdef __cplusplus
namespace nib {
#endif
struct GptqLossPush {
  NibPushHead head;    // rows: the run's columns
  uint rows;           // of the matrix
  uint loss_word;      // first word of the losses
  uint errors_word;    // aux: errors, [block, rows]
  uint errors_stride;  // words from column to column
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
