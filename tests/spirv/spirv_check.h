// What must hold between a SPIR-V module, its row of the kernel table and its C++ interface.
#ifndef NIB_TESTS_SPIRV_CHECK_H
#define NIB_TESTS_SPIRV_CHECK_H

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernel_interfaces.h"

namespace nib::spirv {

// One line per fault, none if the module is as it should be.
//   features   NIB_FEATURE_* that the module may rely on
//   bit_exact  it promises the same bytes on every device
std::vector<std::string> check(std::span<const uint32_t> words, const KernelInterface& kernel, uint32_t features,
                               bool bit_exact);

}  // namespace nib::spirv
#endif
