// Validation and kernels of NIB_OP_DYNAMIC_GEMM.
#ifndef NIB_OPS_DYNAMIC_PRODUCT_H
#define NIB_OPS_DYNAMIC_PRODUCT_H

#include "ops/int8_product.h"
#include "reference/outliers.h"

namespace nib {

// Validates `desc` and fills *out.
NibResult makeDynamicProduct(const NibDynamicGemmDesc& desc, const Log& log, DynamicProduct* out);

class PlanBuilder;
// Adds the phase that writes codes and lists of outliers.
NibResult addOutliers(const DynamicProduct& product, PlanBuilder& builder);

}  // namespace nib
#endif
