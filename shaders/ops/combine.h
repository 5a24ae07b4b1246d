// Interface of combine.comp: merges partial extents of reduce.comp to NibExtents. Its constants are in
// common/partials.h.
#ifndef NIB_OPS_COMBINE_H
#define NIB_OPS_COMBINE_H

#include "common/partials.h"

#define COMBINE_SPEC(X) NIB_PARTIALS_SPEC(X)

#ifdef __cplusplus
namespace nib {
using CombinePush = NibPartialsPush;
}  // namespace nib
#endif
#endif
