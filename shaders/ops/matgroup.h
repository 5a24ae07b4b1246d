// Interface of matgroup.comp: sorts results by the matrix that their token chose, in groups of TOKENS.
//   WG      invocations of the only workgroup
//   TOKENS  results of a group, at most
// A group's record in scratch has 2 + TOKENS words: the matrix, how many results, the numbers of the results. Groups
// without any have 0 results.
#ifndef NIB_OPS_MATGROUP_H
#define NIB_OPS_MATGROUP_H

#include "common/interface.h"

#define MATGROUP_SPEC(X) \
  X(0, uint, WG, 256u) \
  X(1, uint, TOKENS, 8u)

#define NIB_MATGROUP_MATRICES 1024u  // at most

#ifdef __cplusplus
namespace nib {
#endif
struct MatgroupPush {
  NibPushHead head;
  uint choices;  // results of a token
  uint matrices;
  uint groups;
  uint indices_word;  // first word of the choices in their range
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
