// Sizes that follow from a description of NIB_OP_SEARCH, for the op and its fast CPU kernel.
#ifndef NIB_OPS_SEARCH_SHAPE_H
#define NIB_OPS_SEARCH_SHAPE_H

#include "reference/reference.h"

namespace nib {

// Validates the description, and fills *shape.
NibResult makeSearchShape(const NibSearchDesc& desc, const Log& log, SearchShape* shape);

}  // namespace nib
#endif
