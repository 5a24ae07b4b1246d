// Sizes that follow from a description of NIB_OP_HADAMARD, for the op and its fast CPU kernel.
#ifndef NIB_OPS_HADAMARD_SHAPE_H
#define NIB_OPS_HADAMARD_SHAPE_H

#include "reference/reference.h"

namespace nib {

// Validates the description, and fills *shape.
NibResult makeHadamardShape(const NibHadamardDesc& desc, const Log& log, HadamardShape* shape);

}  // namespace nib
#endif
