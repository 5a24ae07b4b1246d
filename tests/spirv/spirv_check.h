// Checks a SPIR-V module against its row of the kernel table and its C++ interface.
#ifndef NIB_TESTS_SPIRV_CHECK_H
#define NIB_TESTS_SPIRV_CHECK_H

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernel_interfaces.h"

namespace nib::spirv {

// The precision that a module promises for its results.
enum class Promise {
  kBound,          // a bound, or nothing
  kBytes,          // the same bytes on every device
  kBytesWholeFma,  // the same, and its fused multiply-adds are of whole numbers up to 2^24: exact, fused or not
};

// Returns one line per fault; empty if the module is correct.
//   features   NIB_FEATURE_* that the module may rely on
std::vector<std::string> check(std::span<const uint32_t> words, const KernelInterface& kernel, uint32_t features,
                               Promise promise);

}  // namespace nib::spirv
#endif
