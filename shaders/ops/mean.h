// Interface of mean.comp: merges partial sums of sum.comp to means, which replace the absmax of NibExtents. Its
// constants are in common/partials.h.
#ifndef NIB_OPS_MEAN_H
#define NIB_OPS_MEAN_H

#include "common/partials.h"

#define MEAN_SPEC(X) NIB_PARTIALS_SPEC(X)

#ifdef __cplusplus
namespace nib {
using MeanPush = NibPartialsPush;
}  // namespace nib
#endif
#endif
