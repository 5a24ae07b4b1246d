// Interface of attention_merge.comp: merges the records of pieces, or copies the indices.
//   WG           invocations of a workgroup
//   RESULT_TYPE  NibType of the result
//   COPY         copies the indices of a token from binding 1 to scratch at binding 2; else scratch is at binding 1 and
//                the result at binding 2
#ifndef NIB_OPS_ATTENTION_MERGE_H
#define NIB_OPS_ATTENTION_MERGE_H

#include "common/attention.h"

#define ATTENTION_MERGE_SPEC(X) \
  X(0, uint, WG, 64u)           \
  X(1, uint, RESULT_TYPE, 0u)   \
  X(2, nib_bool, COPY, false)

#ifdef __cplusplus
namespace nib {
#endif
struct AttentionMergePush {
  NibPushHead head;
  uint heads;
  uint head_quads;  // HEAD_SIZE / 4
  uint tiles;       // of a token
  uint pieces;
  uint scratch_words;  // of a token
  uint result_stride;  // elements from row to row
  uint result_word;
  uint indices_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
