// How transforms walk over a network: it stays as it is, so that one pass serves all of a block's groups.
#ifndef NIB_MODEL_TRANSFORM_WALK_OPTIONS_H
#define NIB_MODEL_TRANSFORM_WALK_OPTIONS_H

#include "model/blocks/walk.h"
#include "model/transform/transform.h"

namespace nib::model {

// purpose: for errors.
inline WalkOptions walkOptions(const TransformInput& input, const char* purpose) {
  WalkOptions walk;
  walk.memory_bytes = input.memory_bytes;
  walk.folder = input.folder;
  walk.together = true;
  walk.changes_weights = false;
  walk.column_stats = true;
  walk.purpose = purpose;
  walk.progress = input.progress;
  return walk;
}

}  // namespace nib::model
#endif
