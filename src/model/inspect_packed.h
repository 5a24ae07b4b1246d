// Checks of GPTQ's and AWQ's weights that need their contents, and of what loaders need in their configuration.
#ifndef NIB_MODEL_INSPECT_PACKED_H
#define NIB_MODEL_INSPECT_PACKED_H

#include "model/decode.h"

#include <string>
#include <vector>

namespace nib::model {

// Reads scales and zero points of every such weight. Throws if a loader would reject or misread one.
void checkPackedWeights(const kit::Device& device, const ModelView& view);

// One line for each key that some loader needs and the configuration lacks.
std::vector<std::string> missingPackedKeys(const Checkpoint& checkpoint);

}  // namespace nib::model
#endif
