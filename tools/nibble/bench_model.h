// nibble bench --model: the speed of a whole network.
#ifndef NIB_TOOLS_BENCH_MODEL_H
#define NIB_TOOLS_BENCH_MODEL_H

#include "options.h"

#include <string>
#include <vector>

namespace nib::tool {

struct BenchModelArguments {
  std::string model;  // a folder with config.json, or such a file; "" = not asked for
  uint32_t tokens = 512;
  std::string type;  // of the blocks' matrices
};

// Measures and prints. Throws.
int benchModel(const DeviceArguments& device, const JsonArguments& json, const BenchModelArguments& arguments);

}  // namespace nib::tool
#endif
