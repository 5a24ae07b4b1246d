// nibble compare --ab: which of two models predicts a text better, and whether that may be chance.
#ifndef NIB_TOOLS_COMPARE_PAIRED_H
#define NIB_TOOLS_COMPARE_PAIRED_H

#include "data_windows.h"
#include "options.h"

#include <string>

namespace nib::tool {

// a, b, against: paths of models; against may be "". Returns the exit code. Throws.
int comparePaired(const Output& output, const DeviceArguments& device, const DataArguments& data, const std::string& a,
                  const std::string& b, const std::string& against);

}  // namespace nib::tool
#endif
