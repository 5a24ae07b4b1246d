// Specialization constants that stand for numbers of nibble.h.
#ifndef NIB_OPS_SHADER_CONSTANTS_H
#define NIB_OPS_SHADER_CONSTANTS_H

#include <nibble/nibble.h>

#include "shaders/common/nibble_constants.h"

namespace nib {

// SCALE_TYPE of a kernel that reads the scales of a blob.
inline uint32_t scaleTypeConstant(const NibWeights& weights) {
  return (weights.flags & NIB_WEIGHTS_NESTED) != 0 ? uint32_t(NIB_NESTED) : weights.scale_type;
}

}  // namespace nib
#endif
