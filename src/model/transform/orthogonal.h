// Orthogonal matrices that spread outliers over all columns.
#ifndef NIB_MODEL_TRANSFORM_ORTHOGONAL_H
#define NIB_MODEL_TRANSFORM_ORTHOGONAL_H

#include "model/transform/edits.h"

#include <cstdint>
#include <memory>

namespace nib::model {

// diag(random signs) times a Hadamard matrix, over its root. Sizes without one have Hadamard matrices of the largest
// order that divides them side by side.
std::shared_ptr<const Rotation> hadamardRotation(uint64_t size, uint64_t seed);
// A matrix drawn evenly from all orthogonal ones. Throws if `size` is more than 2048.
std::shared_ptr<const Rotation> randomRotation(uint64_t size, uint64_t seed);

}  // namespace nib::model
#endif
