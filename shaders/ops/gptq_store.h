// Interface of gptq_store.comp: packs codes of RESULT, a word each, into rows.
//   WG       invocations of a workgroup
//   BITS     per code
//   INVERSE  scratch has the position of every column
#ifndef NIB_OPS_GPTQ_STORE_H
#define NIB_OPS_GPTQ_STORE_H

#include "common/interface.h"

#define GPTQ_STORE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, BITS, 4u) \
  X(2, nib_bool, INVERSE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct GptqStorePush {
  NibPushHead head;
  uint cols;
  uint row_words;  // words of codes per row
  uint result_word;
  uint positions_word;  // aux: position of every column
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
