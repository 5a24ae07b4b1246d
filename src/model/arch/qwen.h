// What the families of Qwen share.
#ifndef NIB_MODEL_ARCH_QWEN_H
#define NIB_MODEL_ARCH_QWEN_H

#include "model/arch/config.h"

namespace nib::model {

// Layers from max_window_layers on have a window, if use_sliding_window is set.
void readQwenWindows(const Json& json, ModelConfig& config);

}  // namespace nib::model
#endif
