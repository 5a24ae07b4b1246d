// nibble compare --data: errors of the outputs of B's linear layers against A's, and what each layer costs alone.
#ifndef NIB_TOOLS_COMPARE_LAYERS_H
#define NIB_TOOLS_COMPARE_LAYERS_H

#include "data_windows.h"
#include "options.h"

#include <string>

namespace nib::tool {

struct LayerArguments {
  bool sensitivity = false;
  std::string html;  // "" = none
};

// a, b: paths of models. Returns the exit code. Throws.
int compareLayers(const Output& output, const DeviceArguments& device, const DataArguments& data,
                  const LayerArguments& arguments, const std::string& a, const std::string& b);

}  // namespace nib::tool
#endif
