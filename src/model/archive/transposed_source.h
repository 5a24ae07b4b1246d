// A model with some matrices transposed: those of GPT-2's layers, which its files hold as [in, out], are [out, in] to
// all that runs the network.
#ifndef NIB_MODEL_ARCHIVE_TRANSPOSED_SOURCE_H
#define NIB_MODEL_ARCHIVE_TRANSPOSED_SOURCE_H

#include "model/archive/checkpoint.h"

#include <functional>
#include <memory>

namespace nib::model {

// base: must outlive the source. chosen: the tensors, of elements of 2 or 4 bytes and two dimensions. Throws.
std::unique_ptr<TensorSource> transposedSource(const Checkpoint& base,
                                               const std::function<bool(const TensorInfo&)>& chosen);

}  // namespace nib::model
#endif
