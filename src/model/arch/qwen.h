// Shared by the Qwen families.
#ifndef NIB_MODEL_ARCH_QWEN_H
#define NIB_MODEL_ARCH_QWEN_H

#include "model/arch/config.h"

namespace nib::model {

// If use_sliding_window is set, the layers that layer_types names have a window, or without that list those from
// max_window_layers on.
void readQwenWindows(const Json& json, ModelConfig& config);

}  // namespace nib::model
#endif
