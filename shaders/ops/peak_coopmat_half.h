// Interface of peak_coopmat_half.comp: that of peak_coopmat.comp.
#ifndef NIB_OPS_PEAK_COOPMAT_HALF_H
#define NIB_OPS_PEAK_COOPMAT_HALF_H

#include "ops/peak_coopmat.h"

#define PEAK_COOPMAT_HALF_SPEC(X) PEAK_COOPMAT_SPEC(X)

#ifdef __cplusplus
namespace nib {
using PeakCoopmatHalfPush = PeakCoopmatPush;
}  // namespace nib
#endif
#endif
