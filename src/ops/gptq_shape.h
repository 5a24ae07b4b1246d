// Sizes that follow from a description of NIB_OP_GPTQ, for the op and its fast CPU kernel.
#ifndef NIB_OPS_GPTQ_SHAPE_H
#define NIB_OPS_GPTQ_SHAPE_H

#include "reference/reference.h"

namespace nib {

// Validates the description, and fills *shape.
NibResult makeGptqShape(const NibGptqDesc& desc, const Log& log, GptqShape* shape);

}  // namespace nib
#endif
