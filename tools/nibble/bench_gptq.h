// nibble bench --gptq: how fast a layer is quantized, by phase.
#ifndef NIB_TOOL_BENCH_GPTQ_H
#define NIB_TOOL_BENCH_GPTQ_H

#include "options.h"

#include <string>

namespace nib::tool {

// shape: "4096x4096", rows x columns of the layer. Throws.
int benchGptq(const DeviceArguments& device, const JsonArguments& json, const std::string& shape);

}  // namespace nib::tool
#endif
