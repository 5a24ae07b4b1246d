// A model's tensors with edits, as a source of their own: what reads a model reads its transformed one in the same way.
#ifndef NIB_MODEL_TRANSFORM_EDITED_SOURCE_H
#define NIB_MODEL_TRANSFORM_EDITED_SOURCE_H

#include "model/archive/checkpoint.h"
#include "model/transform/edits.h"

#include <memory>

namespace nib::model {

// Edited tensors are fp32, computed when they are read; TensorInfo::declared is their type in the base. base: dense;
// must outlive the source. Throws if an edited tensor is missing or is not F32, F16 or BF16.
std::unique_ptr<TensorSource> editedSource(const Checkpoint& base, Edits edits);

}  // namespace nib::model
#endif
